//! The storage verbs from the outside, over ports in memory, with real seals and age files.

mod put;
mod read;
mod sweep;
mod uploads;

use veilvault::epoch::EpochKey;

use crate::{
    auth::Settings,
    name::Name,
    projects::{ProjectAccess, model::Environment},
    storage::{StorageSettings, error::StorageError, model::Version},
    testkit::{Person, World},
};

/// Alice, her project and its empty environment `production`.
struct Place {
    world: World,
    alice: Person,
    access: ProjectAccess,
    environment: Environment,
    key: EpochKey,
}

impl Place {
    async fn new() -> Self {
        Self::with(StorageSettings::default()).await
    }

    async fn with(settings: StorageSettings) -> Self {
        let world = World::new(Settings::default(), settings);
        let alice = world.person("alice@example.org").await;
        let access = world.project(&alice.caller(&world).await, "app").await;
        let (environment, key) = world.environment(&alice, &access, "production").await;
        Self { world, alice, access, environment, key }
    }

    fn name(&self) -> &Name {
        &self.environment.name
    }

    /// Puts the next version; the environment is kept up to date.
    async fn put(&mut self, content: &[u8]) -> Result<Version, StorageError> {
        let blob = self.alice.seal(&self.environment, &self.key, content);
        let put = self.world.storage.put(&self.access, &self.environment.name, blob.put()).await;
        let (environment, version) = put?;
        self.environment = environment;
        Ok(version)
    }

    /// Starts the next epoch.
    async fn rotate(&mut self) {
        let epoch = self.environment.epoch + 1;
        let (key, keyring) = self.alice.keyring(self.access.project(), self.environment.id, epoch);
        let rotated = self.world.projects.rotate_key(&self.access, &self.environment.name, keyring).await;
        self.environment = rotated.unwrap();
        self.key = key;
    }
}

fn seal_check<T>(result: Result<T, StorageError>) -> String {
    match result.err().expect("must be refused") {
        StorageError::Seal { check } => check,
        other => panic!("{other}"),
    }
}

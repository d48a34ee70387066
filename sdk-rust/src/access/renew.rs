//! New keys for a project's environments, and its content sealed to them. What must never happen: an environment being taken
//! for renewed because the server says so, while its key is one that somebody who was removed can have.

use super::outcome::{Unfinished, Vouched, noted};
use super::{Home, outcome::is_hopeless};
use crate::client::Client;
use crate::environments::{Environment, Environments};
use crate::error::{Error, IntegrityReason, Result};
use crate::storage::{Progress, Storage};

/// How often an environment is given a new key because somebody else's came first and is one of the past, too.
const TRIES_MAX: u32 = 3;

/// What is to be done about an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Its content is sealed to an older key than the current one: somebody was interrupted.
    Content,
    /// Its key is one of the past.
    Key,
}

/// What became of the environments.
#[derive(Default)]
pub(super) struct Renewed {
    pub(super) rotated: Vec<String>,
    pub(super) vouched: Vec<Vouched>,
}

impl Client {
    /// The environments of a project. When the server's list is not to be believed: those that this machine knows.
    pub(super) async fn survey(
        &self,
        home: Home,
        unfinished: &mut Vec<Unfinished>,
    ) -> Result<Vec<Environment>> {
        let environments = Environments::new(self.clone(), home);
        let listed = environments.list().await;
        if let Some(listed) = noted(listed, unfinished, |e| Unfinished::whole("list", e))? {
            return Ok(listed);
        }
        let mut found = Vec::new();
        for (name, _) in self.pins().await?.names_in(home.project) {
            let got = environments.get(&name).await;
            found.extend(noted(got, unfinished, |e| Unfinished::of(&name, "list", e))?);
        }
        Ok(found)
    }

    pub(super) async fn due(&self, home: Home, environment: &Environment) -> Result<Due> {
        if environment.rotation_due {
            return Ok(Due::Key);
        }
        let session = self.fresh_session().await?;
        let (name, epoch) = (&environment.name, environment.epoch);
        let known = self.epoch_key(home, environment.id, name, epoch, &session.identity).await?;
        if !self.may_seal_to(home, &known, &session.identity).await? {
            return Ok(Due::Key);
        }
        if environment.version > 0 && epoch > 1 {
            let sealed_to = Storage::new(self.clone()).newest_epoch(home, name).await?;
            if sealed_to.is_some_and(|sealed_to| sealed_to < epoch) {
                return Ok(Due::Content);
            }
        }
        Ok(Due::Nothing)
    }

    /// Gives a new key to every environment that needs one: to all of them when somebody lost something by the list of this
    /// number.
    pub(super) async fn renew_all(
        &self,
        home: Home,
        lost_by: Option<u64>,
        progress: Option<&dyn Progress>,
        unfinished: &mut Vec<Unfinished>,
    ) -> Result<Renewed> {
        let mut todo = Vec::new();
        for environment in self.survey(home, unfinished).await? {
            let due = match lost_by {
                Some(_) => Some(Due::Key),
                None => {
                    let due = self.due(home, &environment).await;
                    noted(due, unfinished, |e| Unfinished::of(&environment.name, "new-key", e))?
                }
            };
            todo.extend(due.filter(|due| *due != Due::Nothing).map(|due| (environment.name, due)));
        }
        if let Some(progress) = progress {
            progress.start(todo.len() as u64);
        }
        let mut renewed = Renewed::default();
        for (name, due) in todo {
            let done = self.renew_one(home, &name, due, lost_by, &mut renewed).await;
            noted(done, unfinished, |e| Unfinished::of(&name, "new-key", e))?;
            if let Some(progress) = progress {
                progress.advance(1);
            }
        }
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(renewed)
    }

    async fn renew_one(
        &self,
        home: Home,
        name: &str,
        due: Due,
        lost_by: Option<u64>,
        renewed: &mut Renewed,
    ) -> Result<()> {
        let environments = Environments::new(self.clone(), home);
        if due == Due::Content {
            renewed.vouched.extend(forgiven(environments.reseal(name).await)?.flatten());
            return Ok(());
        }
        let mut tries = 1;
        loop {
            let done = forgiven(environments.renew(name).await);
            // That the key was renewed is seen in its keyring: somebody else's counts, the server's word does not.
            let is_new = match self.is_renewed(home, name, lost_by).await {
                Err(e) if e.is("ENVIRONMENT_NOT_FOUND") => return Ok(()),
                // What failed first says more.
                Err(e) if done.is_ok() || is_hopeless(&e) => return Err(e),
                is_new => is_new.unwrap_or(false),
            };
            if is_new && !renewed.rotated.iter().any(|known| known == name) {
                renewed.rotated.push(name.to_owned());
            }
            renewed.vouched.extend(done?.flatten());
            match is_new {
                true => return Ok(()),
                false if tries < TRIES_MAX => tries += 1,
                false => return Err(home.refuse(IntegrityReason::KeyOutdated, format!("environment {name}"))),
            }
        }
    }

    /// Whether the current key of an environment is one that nobody has who lost something by this list, and that may be
    /// sealed to.
    async fn is_renewed(&self, home: Home, name: &str, lost_by: Option<u64>) -> Result<bool> {
        let session = self.fresh_session().await?;
        let shown = Environments::new(self.clone(), home).get(name).await?;
        let known = self.epoch_key(home, shown.id, name, shown.epoch, &session.identity).await?;
        let is_for = lost_by.is_none_or(|number| known.list.is_none_or(|list| list >= number));
        Ok(is_for && self.may_seal_to(home, &known, &session.identity).await?)
    }
}

/// Somebody else has just done it, or deleted the environment, or written something newer.
fn forgiven<T>(done: Result<T>) -> Result<Option<T>> {
    match done {
        Err(Error::Conflict { .. }) => Ok(None),
        Err(e) if ["EPOCH_STALE", "ENVIRONMENT_NOT_FOUND", "ETAG_MISMATCH"].iter().any(|r| e.is(r)) => {
            Ok(None)
        }
        done => done.map(Some),
    }
}

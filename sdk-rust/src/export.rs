//! Export: a folder that opens with stock `age` and nothing of ours, for the day this service is gone. It holds the
//! account's age key in the clear: whoever has the folder has the content.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use veilvault::header::HEADER_LINE_LEN;

use crate::client::Client;
use crate::environments::Environment;
use crate::error::{Error, Result};
use crate::projects::Project;
use crate::storage::{Kind, Progress, Version};
use crate::transport::blocking;

/// The account's age key.
const KEY_FILE: &str = "me.key";
const README_FILE: &str = "README.txt";
/// File name of a keyring, before its ending.
const KEYRING_STEM: &str = "keyring";

/// How to export.
#[derive(Clone, Default)]
pub struct ExportOptions {
    /// Is told how it goes, in bytes of ciphertext; the total is known for what is there at the beginning.
    pub progress: Option<Arc<dyn Progress>>,
}

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// The folder.
    pub directory: PathBuf,
    /// The file with the account's age key, mode 0600.
    pub key_file: PathBuf,
    /// What was exported, by name.
    pub environments: Vec<Exported>,
}

/// One environment of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Name of the environment.
    pub name: String,
    /// Newest version; None while it holds nothing, or its bytes were deleted.
    pub version: Option<u64>,
    /// Length of its ciphertext, in bytes.
    pub ciphertext_bytes: u64,
    /// Folder of the environment.
    pub directory: PathBuf,
}

impl Client {
    /// Writes the newest version of every environment of a project into a new folder, with the keyrings, the seals,
    /// the account's age key, and a README with the commands that open each. Every file is checked like any read.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the folder exists and is not empty; [`Error::Integrity`]; [`Error::Local`]. What was
    /// written before an error stays.
    pub async fn export(
        &self,
        project: &Project,
        directory: &Path,
        options: ExportOptions,
    ) -> Result<ExportReport> {
        let session = self.fresh_session().await?;
        let environments = self.environments(project).list().await?;
        if let Some(progress) = &options.progress {
            progress.start(environments.iter().map(|environment| environment.ciphertext_bytes).sum());
        }
        let (root, secret) = (directory.to_path_buf(), session.identity.age_secret_text());
        let recipient = session.identity.recipient().to_string();
        blocking(move || {
            new_folder(&root)?;
            let head = format!("# VeilCloud account key. Keep it secret.\n# public key: {recipient}\n");
            write_new(&root.join(KEY_FILE), &[head.as_bytes(), secret.as_bytes(), b"\n"])
        })
        .await?;
        let (mut exported, mut ways) = (Vec::new(), String::new());
        for environment in environments {
            let (one, way) = self.export_environment(project, &environment, directory, &options).await?;
            exported.push(one);
            ways.push_str(&way);
        }
        let (path, text) = (directory.join(README_FILE), readme(project, &ways));
        blocking(move || write_new(&path, &[text.as_bytes()])).await?;
        if let Some(progress) = &options.progress {
            progress.finish();
        }
        Ok(ExportReport {
            directory: directory.to_path_buf(),
            key_file: directory.join(KEY_FILE),
            environments: exported,
        })
    }

    /// Gives what was written, and how the README says to open it.
    async fn export_environment(
        &self,
        project: &Project,
        environment: &Environment,
        root: &Path,
        options: &ExportOptions,
    ) -> Result<(Exported, String)> {
        let name = environment.name.as_str();
        let folder = root.join(folder_name(name));
        let made = folder.clone();
        blocking(move || new_folder(&made)).await?;
        let place = (folder.as_path(), stem(name));
        let saved = self.storage().save_newest(project, name, place, options.progress.as_deref()).await?;
        let way = way(name, saved.as_ref());
        let exported = Exported {
            name: name.to_owned(),
            version: saved.as_ref().map(|version| version.number),
            ciphertext_bytes: saved.map_or(0, |version| version.ciphertext_bytes),
            directory: folder,
        };
        Ok((exported, way))
    }
}

/// Names of environments are plain file names; one of them could be that of the key file.
fn folder_name(name: &str) -> &str {
    if name == KEY_FILE { "me.key@environment" } else { name }
}

/// File name of an environment's content, before its ending; the keyring has its own beside it.
fn stem(name: &str) -> &str {
    if name == KEYRING_STEM { "keyring@environment" } else { name }
}

/// Makes a folder for its owner alone. An empty one that exists will do; its rights are its owner's business.
fn new_folder(path: &Path) -> Result<()> {
    match fs::read_dir(path) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::invalid("folder", format!("{} is not empty", path.display()))),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            crate::state::make_private(path).map_err(Error::local(format!("make {}", path.display())))
        }
        Err(e) => Err(Error::local(format!("read {}", path.display()))(e)),
    }
}

/// Creates a file for its owner alone; never replaces one.
pub(crate) fn create_new(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(Error::local(format!("create {}", path.display())))
}

/// Writes a new file.
pub(crate) fn write_new(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let mut file = create_new(path)?;
    let written: io::Result<()> = parts.iter().try_for_each(|part| file.write_all(part));
    written.map_err(Error::local(format!("write {}", path.display())))
}

fn readme(project: &Project, ways: &str) -> String {
    format!(
        "VeilCloud export of the project {} ({}).\n\n\
         This folder opens with age (https://age-encryption.org) alone. Go into it and run the first two lines of an\n\
         environment. A text then begins with one comment line of {HEADER_LINE_LEN} bytes that says where it\n\
         belongs, and may end in blank lines; a binary file may end in zero bytes: the padding that hides its\n\
         length. The third line takes that away and leaves, byte for byte, what was stored.\n\n\
         {ways}\
         {KEY_FILE} and every eek.key are secrets: whoever has them reads everything. The .seal files are the\n\
         author's signatures over each file.\n",
        project.name, project.id,
    )
}

/// How to open one environment: two lines, and a third for those who want it to the byte.
fn way(name: &str, version: Option<&Version>) -> String {
    let (folder, stem) = (folder_name(name), stem(name));
    let Some(version) = version else { return format!("{name}: empty\n\n") };
    let path = format!("{folder}/{stem}");
    let len = version.plain_bytes.unwrap_or_default();
    let exact = match version.kind {
        Kind::Text => {
            format!("tail -c +{} {path}.txt | head -c {len} > {path}.exact", HEADER_LINE_LEN + 1)
        }
        _ => format!("head -c {len} {path}.txt > {path}.exact"),
    };
    format!(
        "{name}: version {}, {len} bytes\n\n    \
         age -d -i {KEY_FILE} {folder}/keyring.age > {folder}/eek.key\n    \
         age -d -i {folder}/eek.key {path}.age > {path}.txt\n    \
         {exact}\n\n",
        version.number,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over_and_nobody_else_may_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let folder = dir.path().join("export");
        new_folder(&folder).expect("made");
        new_folder(&folder).expect("an empty one will do");
        let file = folder.join("file");
        write_new(&file, &[b"a", b"b"]).expect("written");
        assert_eq!(fs::read(&file).expect("there"), b"ab");
        assert!(matches!(write_new(&file, &[b"c"]), Err(Error::Local { .. })));
        assert!(matches!(new_folder(&folder), Err(Error::Invalid { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(&folder), mode(&file)), (0o700, 0o600));
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_rights_of_a_folder_that_was_there_are_left_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let mode = || fs::metadata(dir.path()).expect("there").permissions().mode() & 0o777;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("opened up");
        new_folder(dir.path()).expect("an empty one will do");
        assert_eq!(mode(), 0o755);
        fs::write(dir.path().join("file"), "mine").expect("written");
        assert!(matches!(new_folder(dir.path()), Err(Error::Invalid { .. })));
        assert_eq!(mode(), 0o755, "and one that is refused all the more");
    }

    #[test]
    fn no_environment_takes_the_place_of_the_key() {
        assert_eq!(folder_name("production"), "production");
        assert_ne!(folder_name(KEY_FILE), KEY_FILE);
        assert_eq!(stem("production"), "production");
        assert_ne!(stem(KEYRING_STEM), KEYRING_STEM);
    }
}

//! State in a directory of its owner's own: mode 0700, files 0600. Trust: whoever can read `session.json` is the
//! account until the session ends; whoever can write `pins.json` can make this client forget what it has seen.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{PINS_LEN_MAX, SESSION_LEN_MAX, StateStore};

const SESSION_FILE: &str = "session.json";
const PINS_FILE: &str = "pins.json";
const LOCK_FILE: &str = "lock";
const SPOOL_DIR: &str = "spool";

/// State in a directory.
pub struct FileState {
    dir: PathBuf,
}

impl FileState {
    /// Opens the directory, which is made if it does not exist. One directory is for one server and account.
    ///
    /// # Errors
    /// When it cannot be made, is not a directory, or its mode cannot be set to 0700.
    pub fn open(dir: impl AsRef<Path>) -> io::Result<Self> {
        let dir = dir.as_ref().to_path_buf();
        private_dir(&dir)?;
        Ok(Self { dir })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn load(&self, name: &str, len_max: usize) -> io::Result<Option<Zeroizing<String>>> {
        let file = match File::open(self.dir.join(name)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if len > len_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{name} is over {len_max} bytes"),
            ));
        }
        // Room for all of it at once: a buffer that grows leaves copies of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(len + 1));
        file.take(len_max as u64).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Writes a new file and renames it over the old one, so that a crash leaves one of the two.
    fn save(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.dir.join(name)).map_err(|e| e.error)?;
        sync_dir(&self.dir)
    }
}

impl StateStore for FileState {
    fn load_session(&self) -> io::Result<Option<Zeroizing<String>>> {
        self.load(SESSION_FILE, SESSION_LEN_MAX)
    }

    fn save_session(&self, session: &str) -> io::Result<()> {
        self.save(SESSION_FILE, session)
    }

    fn clear_session(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.join(SESSION_FILE)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn load_pins(&self) -> io::Result<Option<String>> {
        Ok(self.load(PINS_FILE, PINS_LEN_MAX)?.map(|mut text| std::mem::take(&mut *text)))
    }

    fn save_pins(&self, pins: &str) -> io::Result<()> {
        self.save(PINS_FILE, pins)
    }

    fn lock(&self) -> io::Result<Box<dyn Send>> {
        let file = private_file(&self.dir.join(LOCK_FILE))?;
        file.lock()?;
        Ok(Box::new(file))
    }

    fn spool_dir(&self) -> Option<PathBuf> {
        let dir = self.dir.join(SPOOL_DIR);
        private_dir(&dir).ok()?;
        Some(dir)
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the directory, and those above it that are missing, for its owner alone. One that is there stays as it is.
pub(crate) fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes the directory and takes every right of others away.
fn private_dir(dir: &Path) -> io::Result<()> {
    make_private(dir)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(dir)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// A rename is durable once its directory is.
fn sync_dir(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn what_is_saved_comes_back_and_what_is_cleared_does_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = FileState::open(dir.path().join("state")).expect("opens");
        assert!(state.load_session().expect("reads").is_none());
        assert!(state.load_pins().expect("reads").is_none());
        state.save_session("one").expect("writes");
        state.save_session("two").expect("replaces");
        state.save_pins("{}").expect("writes");
        let again = FileState::open(state.dir()).expect("opens again");
        assert_eq!(again.load_session().expect("reads").expect("there").as_str(), "two");
        assert_eq!(again.load_pins().expect("reads").as_deref(), Some("{}"));
        again.clear_session().expect("clears");
        again.clear_session().expect("clearing nothing is harmless");
        assert!(state.load_session().expect("reads").is_none());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_anything() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().expect("a directory");
        let dir = root.path().join("state");
        fs::create_dir(&dir).expect("made");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("opened up");
        let state = FileState::open(&dir).expect("opens");
        state.save_session("secret").expect("writes");
        state.save_pins("{}").expect("writes");
        drop(state.lock().expect("locks"));
        let spool = state.spool_dir().expect("a spool");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700, "rights of others are taken away");
        assert_eq!(mode(&spool), 0o700);
        for name in [SESSION_FILE, PINS_FILE, LOCK_FILE] {
            assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_file_that_grew_over_its_limit_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = FileState::open(dir.path()).expect("opens");
        fs::write(dir.path().join(SESSION_FILE), vec![b'x'; SESSION_LEN_MAX + 1]).expect("written");
        assert_eq!(state.load_session().expect_err("refused").kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn one_at_a_time_holds_the_lock() {
        let dir = tempfile::tempdir().expect("a directory");
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let state = FileState::open(dir.path()).expect("opens");
                    for _ in 0..50 {
                        let guard = state.lock().expect("locks");
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside at once");
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(guard);
                    }
                });
            }
        });
    }
}

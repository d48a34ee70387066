//! With the real cargo on a package of one line: what goes wrong without the stamp, and that it does not with it.

use std::{process::Command, time::Duration};

use super::*;

/// Two checkouts of one package beside the target folder that they share.
struct Shared {
    folder: PathBuf,
}

impl Drop for Shared {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

impl Shared {
    /// `first` prints "first", `second` prints "second"; every source is older than any build.
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("veilcloud-checkout-{test}-{}", std::process::id()));
        let shared = Self { folder };
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        for name in ["first", "second"] {
            let source = shared.root(name).join("src");
            fs::create_dir_all(&source).unwrap();
            let manifest =
                "[package]\nname = \"who\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
            fs::write(shared.root(name).join("Cargo.toml"), manifest).unwrap();
            fs::write(source.join("main.rs"), format!("fn main() {{ print!(\"{name}\") }}\n")).unwrap();
            for file in Self::files() {
                let file = File::options().append(true).open(shared.root(name).join(file)).unwrap();
                file.set_modified(hour_ago).unwrap();
            }
        }
        shared
    }

    fn files() -> [PathBuf; 2] {
        ["Cargo.toml".into(), "src/main.rs".into()]
    }

    fn root(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    /// What the program says that cargo runs in this checkout.
    fn run(&self, name: &str) -> String {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["run", "--quiet", "--offline"]).current_dir(self.root(name));
        // A build without flags of the caller, in our folder: nothing else is looked at.
        cargo.env("CARGO_TARGET_DIR", self.target()).env_remove("RUSTFLAGS");
        project::output(&mut cargo).unwrap()
    }

    fn take_over(&self, name: &str) -> bool {
        take_over(&self.target(), &self.root(name), &Self::files()).unwrap()
    }
}

#[test]
fn a_checkout_is_not_run_with_the_build_of_another_one() {
    let shared = Shared::new("turns");
    for name in ["first", "second", "first", "second"] {
        assert!(shared.take_over(name));
        assert_eq!(shared.run(name), name);
    }
}

#[test]
fn a_checkout_keeps_its_own_build() {
    let shared = Shared::new("keeps");
    assert!(shared.take_over("first"));
    assert!(!shared.take_over("first"));
    assert!(shared.take_over("second"));
    assert!(shared.take_over("first"));
    assert!(!shared.take_over("first"));
}

#[test]
fn a_stamp_that_was_cut_short_is_another_checkout() {
    let shared = Shared::new("short");
    assert!(shared.take_over("second"));
    let root = shared.root("second");
    let stamp = root.as_os_str().as_encoded_bytes();
    for cut in [0, 1, stamp.len() - 1] {
        fs::write(shared.target().join(STAMP), &stamp[..cut]).unwrap();
        assert!(changes_hands(&shared.target(), &root).unwrap());
    }
}

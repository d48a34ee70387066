//! Where values come from: defaults < file < environment < flags. Each value remembers its source, so that a refusal
//! can name it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::setting::{Parse, Setting};

/// Longest configuration file or `<NAME>_FILE`, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;
/// Names with our prefix that belong to the clients.
const CLIENT_NAMES: &[&str] = &[
    "VEILCLOUD_ENDPOINT",
    "VEILCLOUD_CONFIG_DIR",
    "VEILCLOUD_API_KEY",
    "VEILCLOUD_NO_INPUT",
    "VEILCLOUD_CONFIG",
];

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the default.
    Default,
    /// In the configuration file.
    File(PathBuf),
    /// In the environment.
    Env(String),
    /// In the file that the environment's `<NAME>_FILE` names.
    EnvFile(String),
    /// On the command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) | Self::EnvFile(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted key, or a file's path.
    pub key: String,
    /// Where it was given.
    pub source: Source,
    /// What is wrong, and what to do.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {}): {}", self.key, self.source, self.why)
    }
}

/// The environment and the command line, handed in so that tests need no process.
pub struct Given<'a> {
    /// The configuration file, if one was named.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// Flags by setting key.
    pub flags: BTreeMap<&'static str, String>,
}

/// Every value that was given, by key.
#[derive(Debug, Default)]
pub struct Values {
    given: BTreeMap<&'static str, (String, Source)>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
}

impl Values {
    /// Gathers the values of all sources.
    pub fn gather(given: &Given<'_>, settings: &[&'static Setting]) -> Self {
        let mut values = Self::default();
        if let Some(path) = &given.file {
            values.read_file(path, settings);
        }
        for setting in settings {
            values.read_env(given.env, setting);
            if let Some(text) = given.flags.get(setting.key) {
                values.given.insert(setting.key, (text.clone(), Source::Flag(setting.flag())));
            }
        }
        values
    }

    /// Notes a problem with a key.
    pub fn refuse(&mut self, key: &str, why: impl Into<String>) {
        let source = self.given.get(key).map_or(Source::Default, |(_, source)| source.clone());
        self.problems.push(Problem { key: key.to_owned(), source, why: why.into() });
    }

    /// The typed value of a key; a value that does not parse is noted and replaced by the default.
    pub(super) fn take<T: Parse>(&mut self, key: &'static str, default: &str) -> T {
        if let Some((text, _)) = self.given.get(key) {
            match T::parse(text) {
                Ok(value) => return value,
                Err(why) => self.refuse(key, why),
            }
        }
        T::parse(default).expect("defaults parse: every_default_parses tests each of them")
    }

    /// Notes a value outside its range.
    pub(super) fn within<T: PartialOrd + fmt::Display>(&mut self, key: &str, value: T, low: T, high: T) {
        if value < low || value > high {
            self.refuse(key, format!("{value} is not in {low} to {high}"));
        }
    }

    fn read_file(&mut self, path: &Path, settings: &[&'static Setting]) {
        let source = Source::File(path.to_path_buf());
        let table = read_bounded(path).and_then(|text| {
            let file = ::config::File::from_str(&text, ::config::FileFormat::Toml);
            let tree = ::config::Config::builder().add_source(file).build().map_err(|e| e.to_string())?;
            Ok(tree.cache)
        });
        let mut flat = Vec::new();
        let flattened = table.and_then(|table| flatten("", table, &mut flat));
        if let Err(why) = flattened {
            return self.problems.push(Problem { key: path.display().to_string(), source, why });
        }
        for (key, text) in flat {
            match settings.iter().find(|s| s.key == key) {
                Some(setting) => drop(self.given.insert(setting.key, (text, source.clone()))),
                None => {
                    let why = "there is no such setting: `veilcloud-server --help` shows them all".to_owned();
                    self.problems.push(Problem { key, source: source.clone(), why });
                }
            }
        }
    }

    fn read_env(&mut self, env: &BTreeMap<String, String>, setting: &'static Setting) {
        let named = |name: &str| env.get(name).filter(|text| !text.is_empty());
        let file_name = format!("{}_FILE", setting.env);
        let direct = named(setting.env);
        let by_file = if setting.is_path { None } else { named(&file_name) };
        if direct.is_some() && by_file.is_some() {
            let why = format!("{} and {file_name} are both set: keep one of them", setting.env);
            let source = Source::Env(setting.env.to_owned());
            return self.problems.push(Problem { key: setting.key.to_owned(), source, why });
        }
        if let Some(text) = direct {
            self.given.insert(setting.key, (text.clone(), Source::Env(setting.env.to_owned())));
        }
        let Some(path) = by_file else { return };
        let source = Source::EnvFile(file_name);
        match read_bounded(Path::new(path)) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
                self.given.insert(setting.key, (text, source));
            }
            Err(why) => self.problems.push(Problem { key: setting.key.to_owned(), source, why }),
        }
    }
}

/// Names in the environment that look like ours and are no setting: most likely a typing mistake.
pub fn strangers(env: &BTreeMap<String, String>, settings: &[&'static Setting]) -> Vec<String> {
    let known = |name: &str| {
        CLIENT_NAMES.contains(&name)
            || settings.iter().any(|s| s.env == name || name.strip_suffix("_FILE") == Some(s.env))
    };
    env.keys().filter(|name| name.starts_with("VEILCLOUD_") && !known(name)).cloned().collect()
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let why = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    let len = std::fs::metadata(path).map_err(why)?.len();
    if len > FILE_LEN_MAX {
        return Err(format!("{} has {len} bytes, more than {FILE_LEN_MAX}", path.display()));
    }
    std::fs::read_to_string(path).map_err(why)
}

/// Dotted keys and their values as text.
fn flatten(prefix: &str, value: ::config::Value, out: &mut Vec<(String, String)>) -> Result<(), String> {
    use ::config::ValueKind;
    match value.kind {
        ValueKind::Table(table) => {
            for (name, value) in table {
                let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                flatten(&key, value, out)?;
            }
            Ok(())
        }
        ValueKind::Array(items) => {
            let mut texts = Vec::with_capacity(items.len());
            for item in items {
                match item.kind {
                    ValueKind::String(text) if !text.contains(',') => texts.push(text),
                    _ => return Err(format!("{prefix} takes strings without commas only")),
                }
            }
            out.push((prefix.to_owned(), texts.join(",")));
            Ok(())
        }
        ValueKind::Nil => Err(format!("{prefix} has no value")),
        other => {
            out.push((prefix.to_owned(), other.to_string()));
            Ok(())
        }
    }
}

//! What every command needs: the chosen server and folder with the reason for each, the prompts, the output,
//! and a client made on first use.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;
use etcetera::BaseStrategy;
use tokio::sync::Notify;
use veilcloud_sdk::{Client, FileState, Project, ProjectId};
use zeroize::Zeroizing;

use crate::args::{ENDPOINT_DEFAULT, Global, Output as Place};
use crate::settings::Settings;
use crate::ui::error::Failure;
use crate::ui::output::Output;
use crate::ui::prompt::Prompt;

/// Longest CA file read, in bytes.
const CA_LEN_MAX: u64 = 1024 * 1024;
/// Longest token file read, in bytes.
const TOKEN_LEN_MAX: u64 = 1024;
/// What may hold a service token. Programs that `run` starts do not get it.
pub const TOKEN_VARIABLE: &str = "VEILCLOUD_TOKEN";

pub struct Context {
    pub endpoint: Chosen<String>,
    pub config_dir: Chosen<PathBuf>,
    pub settings: Settings,
    pub output: Output,
    /// What `--output` says: a form of the answer, or for `audit export` a place.
    pub place: Place,
    pub prompt: Prompt,
    /// Told once when the first client is made: from then on signals are ours.
    pub online: Notify,
    ca_cert: Option<PathBuf>,
    /// A service token to read with, instead of a login.
    pub token: Option<Zeroizing<String>>,
}

/// A value and what chose it.
#[derive(Debug, Clone)]
pub struct Chosen<T> {
    pub value: T,
    pub source: &'static str,
}

impl Context {
    pub fn new(global: Global, matches: &ArgMatches) -> Result<Self, Failure> {
        let output = Output { json: global.is_json(), quiet: global.quiet };
        let source = |id: &str, variable: &'static str, flag: &'static str| match matches.value_source(id) {
            Some(ValueSource::EnvVariable) => variable,
            _ => flag,
        };
        // An empty variable is how a CI system says that it has none.
        let config_dir = match global.config_dir.filter(|dir| !dir.as_os_str().is_empty()) {
            Some(dir) => {
                Chosen { value: dir, source: source("config_dir", "VEILCLOUD_CONFIG_DIR", "--config-dir") }
            }
            None => Chosen { value: default_dir()?, source: "default" },
        };
        let fault =
            |fault| Failure::local(&format!("read the settings in {}", config_dir.value.display()), &fault);
        let settings = Settings::load(&config_dir.value).map_err(fault)?;
        let endpoint = match (global.endpoint.filter(|url| !url.is_empty()), &settings.endpoint) {
            (Some(value), _) => {
                Chosen { value, source: source("endpoint", "VEILCLOUD_ENDPOINT", "--endpoint") }
            }
            (None, Some(saved)) => Chosen { value: saved.clone(), source: "last login" },
            (None, None) => Chosen { value: ENDPOINT_DEFAULT.to_owned(), source: "default" },
        };
        let prompt = Prompt::new(global.no_input);
        Ok(Self {
            endpoint,
            config_dir,
            settings,
            output,
            place: global.output,
            prompt,
            online: Notify::new(),
            ca_cert: global.ca_cert.filter(|file| !file.as_os_str().is_empty()),
            token: token(global.token_file.filter(|file| !file.as_os_str().is_empty()))?,
        })
    }

    /// A client for the chosen server. Ask everything there is to ask before: from here on Ctrl-C is caught.
    pub fn client(&self) -> Result<Client, Failure> {
        let mut builder = Client::builder()
            .endpoint(&self.endpoint.value)
            .state(Arc::new(self.state()?))
            .user_agent(format!("veilcloud/{}", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = self.ca_pem()? {
            builder = builder.ca_certificate_pem(pem);
        }
        if let Some(token) = &self.token {
            builder = builder.service_token(token)?;
        }
        let client = builder.build()?;
        self.online.notify_one();
        Ok(client)
    }

    /// A client and a project: an own one by its name, or any by its id. What looks like an id is one: names of other
    /// people's projects are their choice, so nothing but the id leads to those.
    pub async fn project(&self, name: &str) -> Result<(Client, Project), Failure> {
        let client = self.client()?;
        let project = match name.parse::<ProjectId>() {
            Ok(id) => client.projects().get(id).await?,
            Err(_) => client.projects().by_name(name).await?,
        };
        Ok((client, project))
    }

    /// The additional certificate authority, if one was given.
    pub fn ca_pem(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = &self.ca_cert else { return Ok(None) };
        let fault = |fault| Failure::local(&format!("read the CA file {}", path.display()), &fault);
        if std::fs::metadata(path).map_err(fault)?.len() > CA_LEN_MAX {
            return Err(Failure::usage(format!("the CA file {} is too long", path.display())));
        }
        std::fs::read(path).map(Some).map_err(fault)
    }

    /// Remembers who logs in where, for the next `login` and every command after it.
    pub fn remember(&self, email: &str) -> Result<(), Failure> {
        let settings =
            Settings { email: Some(email.to_owned()), endpoint: Some(self.endpoint.value.clone()) };
        let fault = |fault| Failure::local(&format!("write to {}", self.config_dir.value.display()), &fault);
        self.state()?;
        settings.save(&self.config_dir.value).map_err(fault)
    }

    /// The folder's state; the folder is made, readable by its owner alone, when it is missing.
    pub fn state(&self) -> Result<FileState, Failure> {
        let dir = &self.config_dir.value;
        let fault = |fault| Failure::local(&format!("open the config folder {}", dir.display()), &fault);
        FileState::open(dir).map_err(|e| fault(e).try_this("name a folder you own with --config-dir"))
    }
}

/// The token in the file, or else in the environment.
fn token(file: Option<PathBuf>) -> Result<Option<Zeroizing<String>>, Failure> {
    let Some(path) = file else {
        return Ok(std::env::var(TOKEN_VARIABLE).ok().filter(|text| !text.is_empty()).map(Zeroizing::new));
    };
    let fault = |fault| Failure::local(&format!("read the token file {}", path.display()), &fault);
    if std::fs::metadata(&path).map_err(fault)?.len() > TOKEN_LEN_MAX {
        return Err(Failure::usage(format!("{} holds no service token", path.display())));
    }
    std::fs::read_to_string(&path).map(Zeroizing::new).map(Some).map_err(fault)
}

fn default_dir() -> Result<PathBuf, Failure> {
    let base = etcetera::choose_base_strategy().map_err(|_| {
        Failure::usage("there is no home folder to keep the session in").try_this("give --config-dir")
    })?;
    Ok(base.config_dir().join("veilcloud"))
}

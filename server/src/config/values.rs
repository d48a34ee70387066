//! Kinds of values with rules of their own.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use super::setting::{Parse, Shape};

/// See `server.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything in one process on one data folder.
    Standalone,
}

impl Parse for Mode {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "standalone" => Ok(Self::Standalone),
            "central" | "edge" => Err(format!("mode {text} is not built in this version: use standalone")),
            other => Err(format!("{other:?} is no mode: use standalone")),
        }
    }
}

/// A part that a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// gRPC, gRPC-Web and REST.
    Api,
    /// Takes what happened into the logs: the sequencer.
    Publish,
    /// Removes what nobody needs.
    Sweep,
    /// Watches that the logs of other servers only grow. Alone in its process.
    Witness,
}

impl Role {
    /// Every role of a server with its own logs: what `all` means.
    pub const ALL: &'static [Self] = &[Self::Api, Self::Publish, Self::Sweep];

    /// The role's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Publish => "publish",
            Self::Sweep => "sweep",
            Self::Witness => "witness",
        }
    }
}

/// What can be said of roles.
const ROLES: &str = "use all, api, publish, sweep, or witness alone";

/// See `server.roles`; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// True when the process plays this role.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl Parse for Roles {
    const SHAPE: Shape = Shape::List;
    fn parse(text: &str) -> Result<Self, String> {
        let names: Vec<String> = Vec::parse(text)?;
        let mut roles = BTreeSet::new();
        for name in &names {
            match name.as_str() {
                "all" => roles.extend(Role::ALL),
                "api" => drop(roles.insert(Role::Api)),
                "publish" => drop(roles.insert(Role::Publish)),
                "sweep" => drop(roles.insert(Role::Sweep)),
                "witness" => drop(roles.insert(Role::Witness)),
                "intake" | "sift" | "tally" | "issuer" => {
                    return Err(format!("role {name} is not built in this version: {ROLES}"));
                }
                other => return Err(format!("{other:?} is no role: {ROLES}")),
            }
        }
        if roles.is_empty() {
            Err(format!("no role is named: {ROLES}"))
        } else if roles.contains(&Role::Witness) && roles.len() > 1 {
            Err("the role witness runs alone: one who watches logs does not write them".to_owned())
        } else {
            Ok(Self(roles))
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(","))
    }
}

/// See `storage.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A folder.
    Local,
}

impl Parse for StorageKind {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "s3" => Err("storage s3 is not built in this version: use local".to_owned()),
            other => Err(format!("{other:?} is no kind of storage: use local")),
        }
    }
}

/// See `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Parse for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(format!("{other:?} is no format: use auto, json or text")),
        }
    }
}

/// A web origin: scheme, host and port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(pub String);

impl Parse for Origin {
    fn parse(text: &str) -> Result<Self, String> {
        let why =
            || format!("{text:?} is not an origin like https://app.example.com, without path and wildcard");
        let uri: http::Uri = text.parse().map_err(|_| why())?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.authority().is_some_and(|a| !a.as_str().contains(['@', '*']));
        // `Uri` reads an absent path as "/"; the text must not have it.
        if web && host && uri.path() == "/" && uri.query().is_none() && !text.ends_with('/') {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(why())
        }
    }
}

/// A proxy's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy(pub IpAddr);

impl Parse for Proxy {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if !address.is_unspecified() => Ok(Self(address)),
            _ => Err(format!("{text:?} is not the address of one proxy, like 10.0.0.7")),
        }
    }
}

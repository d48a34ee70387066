//! What a setting is, and the macro that declares a section of them once for the tree, the flags, the page and the
//! checks.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use veilcloud_domain::auth::model::Tier;

/// One setting as the flags and the page show it.
#[derive(Debug)]
pub struct Setting {
    /// Dotted name in the TOML file.
    pub key: &'static str,
    /// Name in the environment.
    pub env: &'static str,
    /// Default as text; empty means not set.
    pub default: &'static str,
    /// Unit, or the kind of value.
    pub unit: &'static str,
    /// What values are taken.
    pub limit: &'static str,
    /// First version that has it.
    pub since: &'static str,
    /// What it is for.
    pub doc: &'static str,
    /// True when the value is a path itself, so that `<NAME>_FILE` would be ambiguous.
    pub is_path: bool,
    /// How the value is written in TOML.
    pub shape: Shape,
}

impl Setting {
    /// Flag name without the dashes: the environment's name in lower case, without the product's prefix.
    pub fn flag(&self) -> String {
        self.env.trim_start_matches("VEILCLOUD_").to_ascii_lowercase().replace('_', "-")
    }
}

/// How a value is written in TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Bare: a number or a boolean.
    Bare,
    /// A boolean; its flag may stand without a value.
    Switch,
    /// A string.
    Text,
    /// An array of strings; comma-separated in the environment.
    List,
}

/// A value that a setting can have.
pub trait Parse: Sized {
    /// See [`Setting::is_path`].
    const IS_PATH: bool = false;
    /// See [`Setting::shape`].
    const SHAPE: Shape = Shape::Text;
    /// Reads the value, or says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String>;
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Parse for $type {
            const SHAPE: Shape = Shape::Bare;
            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("{text:?} is not a whole number that fits"))
            }
        }
    )*};
}
whole_numbers!(u32, u64, usize);

impl Parse for bool {
    const SHAPE: Shape = Shape::Switch;
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
    }
}

impl Parse for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("{text:?} is not an address with a port, like 127.0.0.1:8443 or [::1]:8443"))
    }
}

impl Parse for PathBuf {
    const IS_PATH: bool = true;
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a path is missing".to_owned()) } else { Ok(Path::new(text).to_path_buf()) }
    }
}

impl<T: Parse> Parse for Option<T> {
    const IS_PATH: bool = T::IS_PATH;
    const SHAPE: Shape = T::SHAPE;
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
}

impl Parse for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl<T: Parse> Parse for Vec<T> {
    const SHAPE: Shape = Shape::List;
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }
}

impl Parse for Tier {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

/// Declares a section: a struct of typed fields and its table of [`Setting`]s.
///
/// A field is `name: type, "toml.key", "ENV_NAME", "default", "unit", <limit>, "since";` where the limit is either
/// `range LOW..=HIGH` (then checked) or `says "words"`.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident: $type:ty, $key:literal, $env:literal, $default:literal, $unit:literal,
                $(range $low:literal..=$high:literal)? $(says $says:literal)?, $since:literal;
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl $name {
            /// The section's settings, in order.
            pub const SETTINGS: &'static [$crate::config::setting::Setting] = &[
                $($crate::config::setting::Setting {
                    key: $key,
                    env: $env,
                    default: $default,
                    unit: $unit,
                    limit: concat!($($low, " to ", $high)? $($says)?),
                    since: $since,
                    doc: concat!($($doc),*),
                    is_path: <$type as $crate::config::setting::Parse>::IS_PATH,
                    shape: <$type as $crate::config::setting::Parse>::SHAPE,
                },)*
            ];
            /// What the section is about.
            pub const ABOUT: &'static str = concat!($($about),*);

            /// Takes the section's values, noting what is wrong with them.
            pub(in $crate::config) fn take(values: &mut $crate::config::source::Values) -> Self {
                $(
                    let $field: $type = values.take($key, $default);
                    $( values.within($key, $field, $low, $high); )?
                )*
                Self { $($field),* }
            }
        }
    };
}
pub(crate) use section;

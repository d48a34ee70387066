//! The page and the example file, written from the declarations.

use std::fmt::Write;

use super::{
    SECTIONS,
    setting::{Setting, Shape},
};

/// `docs/config.md`.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Settings of veilcloud-server\n\n\
         <!-- Written by `cargo xtask codegen` from server/src/config.rs (`veilcloud-server config-docs`): do not edit. -->\n\n\
         Sources, each overruling the one before: defaults, the TOML file (`--config` or `VEILCLOUD_CONFIG`), the\n\
         environment, flags. Every setting that is not itself a path can also be given as `<NAME>_FILE`: the path of a\n\
         file whose content, without its last line feed, is the value. An empty variable counts as not set. A setting\n\
         that is not on this page is refused, and so are values outside their limits and half-set states; the server\n\
         then leaves with exit code 78 and names all of them at once. `veilcloud-server check-config` does only that.\n\n\
         A list is an array of strings in the file, and comma-separated in the environment and on the command line.\n\n\
         | file | environment | flag | default | unit | limit | since |\n|---|---|---|---|---|---|---|\n",
    );
    for (_, _, settings) in SECTIONS {
        for setting in *settings {
            let _ = writeln!(
                out,
                "| `{}` | `{}` | `--{}` | {} | {} | {} | {} |",
                setting.key,
                setting.env,
                setting.flag(),
                if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) },
                setting.unit,
                setting.limit,
                setting.since
            );
        }
    }
    for (name, about, settings) in SECTIONS {
        let _ = write!(out, "\n## [{name}]\n\n{}\n\n", about.trim());
        for setting in *settings {
            let _ = writeln!(out, "- **`{}`**: {}", setting.key, setting.doc.trim());
        }
    }
    out
}

/// `deploy/veilcloud.example.toml`: every setting, commented out, at its default.
pub fn example() -> String {
    let mut out = String::from(
        "# Settings of veilcloud-server, each at its default. Start with: veilcloud-server --config veilcloud.toml\n\
         # Written by `cargo xtask codegen` from server/src/config.rs: do not edit; copy it.\n",
    );
    for (name, about, settings) in SECTIONS {
        let _ = write!(out, "\n# {}\n[{name}]\n", about.trim());
        for setting in *settings {
            let key = setting.key.rsplit('.').next().unwrap_or(setting.key);
            let _ = writeln!(
                out,
                "\n# {}\n# {}: {}. {}.",
                setting.doc.trim(),
                setting.unit,
                setting.limit,
                setting.env
            );
            let _ = writeln!(out, "#{key} = {}", literal(setting));
        }
    }
    out
}

fn literal(setting: &Setting) -> String {
    match setting.shape {
        Shape::Bare | Shape::Switch => setting.default.to_owned(),
        Shape::Text => format!("{:?}", setting.default),
        Shape::List => {
            let items = setting.default.split(',').filter(|i| !i.is_empty()).map(|i| format!("{i:?}"));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
    }
}

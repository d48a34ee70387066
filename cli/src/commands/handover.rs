//! A new recovery code on its way to its owner. It is kept before the server is asked to put it in force, so that
//! neither a lost answer nor Ctrl-C in between can lose it. What must never happen: an account whose only code nobody
//! has seen, or a kit on disk whose code opens nothing.

use std::io;
use std::path::Path;

use serde_json::json;
use veilcloud_sdk::{Error, RecoveryCode};

use super::kit::Kit;
use crate::context::Context;
use crate::ui::error::Failure;
use crate::ui::output::say;

/// The code and its kit, if one is wanted. Dropped while the outcome is unknown, it gives the code out.
pub struct Handover<'a> {
    context: &'a Context,
    email: &'a str,
    kit: Option<Kit>,
    /// Set while the server may or may not have put it in force.
    in_doubt: Option<RecoveryCode>,
}

impl<'a> Handover<'a> {
    pub fn new(context: &'a Context, email: &'a str, kit: Option<Kit>) -> Self {
        Self { context, email, kit, in_doubt: None }
    }

    /// Writes the kit. From here on the server may be asked.
    pub fn keep(&mut self, code: &RecoveryCode) -> io::Result<()> {
        if let Some(kit) = &mut self.kit {
            kit.write(self.email, &self.context.endpoint.value, code)?;
        }
        self.in_doubt = Some(code.clone());
        Ok(())
    }

    /// Takes the server's answer: the code is in force, or worth nothing, or nobody knows.
    pub fn settle<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Failure> {
        match outcome {
            Ok(done) => {
                self.in_doubt = None;
                Ok(done)
            }
            Err(error) => {
                if !error.outcome_unknown() {
                    self.in_doubt = None;
                    self.kit.iter_mut().for_each(Kit::discard);
                }
                Err(error.into())
            }
        }
    }

    /// Adds the code to an answer: where it is, or what it is.
    pub fn show(
        &self,
        value: &mut serde_json::Value,
        lines: &mut Vec<(&'static str, String)>,
        code: &RecoveryCode,
    ) {
        match self.kit.as_ref().map(Kit::path).map(Path::display) {
            Some(path) => {
                value["recovery_file"] = json!(path.to_string());
                lines.push(("recovery kit", format!("{path} (keep it off this machine)")));
            }
            None => {
                let text = code.expose_text();
                value["recovery_code"] = json!(text.as_str());
                lines.push(("recovery code", format!("{} (shown this once: write it down)", text.as_str())));
            }
        }
    }
}

impl Drop for Handover<'_> {
    fn drop(&mut self) {
        let Some(code) = self.in_doubt.take() else { return };
        if !self.context.output.json {
            say(
                "The server was asked and its answer never came: it may or may not have done it. Keep this recovery",
            );
            say("code and any older one, log in to find out, and then destroy the one that is not in force.");
        }
        let mut value = json!({ "email": self.email, "outcome": "unknown" });
        let mut lines = vec![("account", self.email.to_owned()), ("outcome", "unknown".to_owned())];
        self.show(&mut value, &mut lines, &code);
        // Nobody is left to tell that standard output is closed.
        let _ = self.context.output.object(&value, &lines);
    }
}

//! Questions to the person. Where nobody can answer, each is an error that names the flag to use instead.

use std::io::{self, BufRead, IsTerminal, Read};

use veilcloud_sdk::Password;
use zeroize::Zeroizing;

use super::error::Failure;
use super::exit::Exit;
use super::output::say;
use crate::interrupt::{self, Signal};

/// Longest line read as a secret from standard input, in bytes.
const SECRET_LINE_MAX: u64 = 4096;

/// Fewest characters of a new password. Argon2 slows guessing down, it does not make a short one long.
const PASSWORD_CHARS_MIN: usize = 8;

#[derive(Debug, Clone, Copy)]
pub struct Prompt {
    allowed: bool,
}

impl Prompt {
    pub fn new(no_input: bool) -> Self {
        Self { allowed: !no_input && io::stdin().is_terminal() }
    }

    /// An existing password.
    pub fn password(&self, label: &str, from_stdin: bool) -> Result<Password, Failure> {
        if from_stdin {
            return Ok(into_password(secret_line("the password")?));
        }
        self.require(label, "--password-stdin")?;
        Ok(into_password(hidden(label)?))
    }

    /// A password to be set: asked twice, long enough to be worth setting.
    pub fn new_password(&self, label: &str, from_stdin: bool) -> Result<Password, Failure> {
        let typed = if from_stdin {
            secret_line("the password")?
        } else {
            self.require(label, "--password-stdin")?;
            let typed = hidden(label)?;
            if *typed != *hidden("The same again")? {
                return Err(Failure::usage("the two passwords differ").try_this("run the command again"));
            }
            typed
        };
        if typed.chars().count() < PASSWORD_CHARS_MIN {
            let message = format!("a password has at least {PASSWORD_CHARS_MIN} characters");
            return Err(Failure::usage(message).try_this("a sentence you remember is a good password"));
        }
        Ok(into_password(typed))
    }

    /// A secret that is not a password, from the terminal.
    pub fn secret(&self, label: &str, flag: &str) -> Result<Zeroizing<String>, Failure> {
        self.require(label, flag)?;
        hidden(label)
    }

    /// A plain answer; empty when the person only pressed Enter.
    pub fn line(&self, label: &str, flag: &str) -> Result<String, Failure> {
        self.require(label, flag)?;
        ask(label)
    }

    /// A plain answer where none is needed: empty when nobody can be asked.
    pub fn line_or_empty(&self, label: &str) -> Result<String, Failure> {
        if self.allowed { ask(label) } else { Ok(String::new()) }
    }

    /// Has the person type `name` before something that cannot be undone; `act` is a clause such as
    /// "this deletes project x".
    pub fn confirm(&self, act: &str, name: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        self.require(&format!("a confirmation, because {act}"), "--yes")?;
        match ask(&format!("Careful: {act}. Type {name} to go on"))? == name {
            true => Ok(()),
            false => Err(Failure::new(Exit::Other, "NOT_CONFIRMED", "not confirmed; nothing was changed")),
        }
    }

    fn require(&self, what: &str, flag: &str) -> Result<(), Failure> {
        if self.allowed {
            return Ok(());
        }
        let message = format!("input is needed ({}) and cannot be asked for here", lower_first(what));
        Err(Failure::new(Exit::Usage, "INPUT_NEEDED", message).try_this(format!("give {flag}")))
    }
}

/// The next line of standard input, without its end.
pub fn secret_line(what: &str) -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::with_capacity(256));
    let fault = |fault: io::Error| Failure::local(&format!("read {what} from standard input"), &fault);
    io::stdin().lock().take(SECRET_LINE_MAX).read_line(&mut line).map_err(fault)?;
    let len = line.trim_end_matches(['\r', '\n']).len();
    if len as u64 + 1 >= SECRET_LINE_MAX {
        return Err(Failure::usage(format!("{what} on standard input is too long")));
    }
    line.truncate(len);
    if line.is_empty() {
        return Err(Failure::usage(format!("{what} was expected on standard input, which has no such line")));
    }
    Ok(line)
}

fn into_password(mut typed: Zeroizing<String>) -> Password {
    Password::from(std::mem::take(&mut *typed))
}

fn hidden(label: &str) -> Result<Zeroizing<String>, Failure> {
    interrupt::hold();
    match rpassword::prompt_password(format!("{label}: ")) {
        Ok(typed) if typed.is_empty() => Err(Failure::usage("nothing was typed")),
        Ok(typed) => Ok(Zeroizing::new(typed)),
        Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {
            Err(Failure::interrupted(Signal::Interrupt))
        }
        Err(fault) => {
            Err(Failure::local("read from the terminal", &fault).try_this("give it on standard input"))
        }
    }
}

fn ask(label: &str) -> Result<String, Failure> {
    say(&format!("{label}:"));
    let mut line = String::new();
    let read = interrupt::at_line(|| io::stdin().lock().take(SECRET_LINE_MAX).read_line(&mut line));
    read.map_err(|fault| Failure::local("read from the terminal", &fault))?;
    Ok(line.trim().to_owned())
}

fn lower_first(text: &str) -> String {
    let mut marks = text.chars();
    marks.next().map_or_else(String::new, |first| first.to_lowercase().chain(marks).collect())
}

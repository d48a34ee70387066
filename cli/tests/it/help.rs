use crate::{commands, run, veilcloud};

#[test]
fn every_help_page_is_the_one_that_was_agreed_on() {
    let dir = tempfile::tempdir().unwrap();
    for command in commands(dir.path()) {
        let ran = run(veilcloud(dir.path()).args(&command).arg("--help"));
        assert_eq!(ran.code, Some(0), "{command:?}");
        assert_eq!(ran.stderr, "", "{command:?}");
        let name = if command.is_empty() { "veilcloud".to_owned() } else { command.join("-") };
        insta::assert_snapshot!(name, ran.stdout);
    }
}

#[test]
fn help_begins_with_what_it_is_for_and_examples_that_name_the_command() {
    let dir = tempfile::tempdir().unwrap();
    for command in commands(dir.path()) {
        let help = run(veilcloud(dir.path()).args(&command).arg("--help")).stdout;
        let (examples, usage) = (help.find("Examples:"), help.find("Usage:"));
        assert!(examples.is_some_and(|at| at > 0) && examples < usage, "{command:?}: {help}");
        let wanted = format!("veilcloud {}", command.join(" "));
        assert!(help[..usage.unwrap()].contains(wanted.trim()), "{command:?} has no example of its own");
    }
}

#[test]
fn no_argument_takes_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    for command in commands(dir.path()) {
        let help = run(veilcloud(dir.path()).args(&command).arg("--help")).stdout;
        for line in help.lines().map(str::trim).filter(|line| line.starts_with('-') || line.starts_with('<'))
        {
            let term = line.split("  ").next().unwrap().to_lowercase();
            let names_secret = ["password", "secret", "token", "code", "passphrase", "value"];
            let takes_value = term.contains('<');
            let is_file = term.contains("<file>");
            let harmless = !takes_value || is_file;
            let secret = names_secret.iter().any(|word| term.contains(word));
            assert!(harmless || !secret, "{command:?}: {line}");
        }
    }
}

#[test]
fn the_main_help_lists_every_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(veilcloud(dir.path()).arg("--help")).stdout;
    let codes = help.split("Exit codes:").nth(1).unwrap();
    for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "5 ", "6 ", "7 ", "8 ", "9 ", "130 "] {
        assert!(codes.contains(code), "{code}");
    }
}

//! Tests of the help: its examples can be pasted, and the command takes them.

use clap::{Command, CommandFactory, FromArgMatches};

use crate::Cli;

/// Columns of a narrow terminal.
const WIDTH: usize = 80;

/// The help of a command and of all commands below it, short and long, with their names.
fn helps(command: &mut Command) -> Vec<(String, String)> {
    let name = command.get_name().to_owned();
    let mut helps = vec![
        (format!("{name} -h"), command.render_help().to_string()),
        (format!("{name} --help"), command.render_long_help().to_string()),
    ];
    helps.extend(command.get_subcommands_mut().flat_map(helps_of_subcommand));
    helps
}

fn helps_of_subcommand(command: &mut Command) -> Vec<(String, String)> {
    if command.get_name() == "help" { Vec::new() } else { helps(command) }
}

/// The examples of a help, as a shell would read them: a line each, with those that go on behind a backslash.
fn examples(help: &str) -> Vec<String> {
    let text = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    let mut examples: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.take_while(|line| !line.is_empty()) {
        let part = line.trim_end_matches('\\');
        match examples.last_mut().filter(|_| goes_on) {
            Some(example) => example.push_str(part),
            None => examples.push(part.to_owned()),
        }
        goes_on = line.ends_with('\\');
    }
    assert!(!goes_on, "{help}");
    examples
}

/// The words of a line, as a shell tells them apart by blanks and quotes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for character in line.chars() {
        match (character, quote) {
            (character, Some(end)) if character == end => quote = None,
            ('\'' | '"', None) => quote = Some(character),
            (' ', None) => words.push(String::new()),
            (character, _) => words.last_mut().unwrap().push(character),
        }
    }
    assert_eq!(quote, None, "{line}");
    words.retain(|word| !word.is_empty());
    words
}

/// The commands of a line, without what goes to the shell: pipes, files of output and comments.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words: Vec<String> = words(line).into_iter().take_while(|word| word != "#").collect();
    let commands = words.split(|word| ["|", "&&"].contains(&&**word));
    commands.map(|words| words.split(|word| word == ">").next().unwrap_or_default().to_vec()).collect()
}

#[test]
fn every_example_of_a_help_is_a_command() {
    let mut naswot = Cli::command().term_width(WIDTH);
    naswot.build();
    let mut count = 0;
    for (name, help) in helps(&mut naswot) {
        for example in examples(&help) {
            for command in commands(&example) {
                if command[0] == "echo" {
                    continue;
                }
                assert_eq!(command[0], "naswot", "{name} at {WIDTH} columns breaks: {example}");
                let parsed = Cli::command().try_get_matches_from(&command);
                let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
                assert!(parsed.is_ok(), "{name}: {example}: {}", parsed.unwrap_err());
                count += 1;
            }
        }
    }
    // Each stands in two helps.
    assert!(count > 80, "{count}");
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    // A second time in place of the first by force alone.
    for (force, status) in [(None, 0), (None, 2), (Some("--force"), 0)] {
        let arguments = ["naswot".as_ref(), "man".as_ref(), pages.as_os_str()];
        assert_eq!(crate::run(arguments.into_iter().chain(force.map(AsRef::as_ref))), status);
    }
    let mut naswot = Cli::command();
    naswot.build();
    let mut count = 0;
    let mut commands = vec![("naswot".to_owned(), &naswot)];
    while let Some((name, command)) = commands.pop() {
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{name}");
        let named = command.get_arguments().filter(|argument| !argument.is_hide_set());
        for option in named.filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&option.replace('-', "\\-")), "{name} has no --{option}");
        }
        let subcommands = command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help");
        commands
            .extend(subcommands.map(|subcommand| (format!("{name}-{}", subcommand.get_name()), subcommand)));
        count += 1;
    }
    assert!(count > 20, "{count}");
}

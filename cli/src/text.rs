//! Texts of files and errors in messages: on one line, without control characters, and cut where they are long.

use std::borrow::Cow;
use std::fmt::Display;

/// Most characters of an input that a message quotes.
const MOST_QUOTED: usize = 100;
/// Most characters of a message; texts that it quotes are cut by themselves, but their number may be anybody's.
const MOST_SAID: usize = 4096;

/// A piece of a file for a message: not nothing, on one line, and cut where it is long.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED) {
        _ if text.is_empty() => "nothing".to_owned(),
        Some((end, _)) => format!("{}...", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

/// Names out of a file for a message: the first ones, each [`shortened`], and how many more there are.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a (impl AsRef<str> + ?Sized + 'a)>) -> String {
    const MOST: usize = 60;
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(MOST).map(|name| shortened(name.as_ref())).collect();
    match names.count() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// What a parser says of a text, which it may quote whole: cut where it is long.
pub(crate) fn cut(error: impl Display) -> String {
    const MOST: usize = 200;
    let error = error.to_string();
    match error.char_indices().nth(MOST) {
        // Its end says where.
        Some((end, _)) => match error.rfind(" at line ") {
            Some(place) if place >= end => format!("{}...{}", &error[..end], &error[place..]),
            _ => format!("{}...", &error[..end]),
        },
        None => error,
    }
}

/// A message on one line.
pub(crate) fn one_line(message: &str) -> String {
    message.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A text as a terminal may have it: what would change the terminal, or how a line reads, is written as an escape.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(2 * text.len());
    for character in text.chars() {
        match is_unseen(character) {
            true => written.extend(character.escape_debug()),
            false => written.push(character),
        }
    }
    Cow::Owned(written)
}

/// A message as a terminal may have it: [`visible`], but for line ends before lines that are set in, which are the message's
/// own, and the middle left out where it has no end.
pub(crate) fn sayable(message: &str) -> String {
    const OWN_LINE: &str = "\n    ";
    let lines = |text: &str| text.split(OWN_LINE).map(visible).collect::<Vec<_>>().join(OWN_LINE);
    let characters = message.chars().count();
    if characters <= MOST_SAID {
        return lines(message);
    }
    let at = |place: usize| message.char_indices().nth(place).map_or(message.len(), |(at, _)| at);
    let (start, end) = (&message[..at(MOST_SAID / 2)], &message[at(characters - MOST_SAID / 2)..]);
    format!("{} ... {}", lines(start), lines(end))
}

/// Whether a character is a control (Unicode's class Cc), a format (Cf: marks of direction, such as U+202E, and others without
/// a width) or a separator of lines or paragraphs.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_as_an_escape() {
        for (text, written) in [
            ("", ""),
            (
                "na\u{ef}ve \u{4f60}\u{597d} e\u{301} C:\\x \"y\" 'z'",
                "na\u{ef}ve \u{4f60}\u{597d} e\u{301} C:\\x \"y\" 'z'",
            ),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("a\r\n\tb\u{7f}\u{9b}1m", "a\\r\\n\\tb\\u{7f}\\u{9b}1m"),
            ("\u{202e}gnp.exe\u{2066}\u{200b}", "\\u{202e}gnp.exe\\u{2066}\\u{200b}"),
            ("a\u{2028}b", "a\\u{2028}b"),
        ] {
            assert_eq!(visible(text), written);
            assert_eq!(visible(written), written, "once is enough");
        }
    }

    #[test]
    fn a_message_without_an_end_keeps_both_of_its_ends() {
        let message = format!("begin{}end", "\u{1b}x".repeat(1 << 20));
        let said = sayable(&message);
        assert!(said.starts_with("begin") && said.ends_with("end") && said.contains(" ... "));
        assert!(said.len() < 8 * MOST_SAID && !said.contains('\u{1b}'));
        let short = "e\u{301}".repeat(MOST_SAID / 2);
        assert_eq!(sayable(&short), short);
        assert_eq!(sayable("do this:\n    x = 1\nerror: \u{1b}"), "do this:\n    x = 1\\nerror: \\u{1b}");
    }

    #[test]
    fn many_names_are_counted() {
        let names: Vec<String> = (0..1000).map(|number| format!("{number}{}", "x".repeat(1000))).collect();
        let list = listed(&names);
        assert!(list.starts_with("0xx") && list.ends_with(" and 940 more") && list.len() < 60 * 120);
        assert_eq!(listed(["a", "b\n"]), "a, b\\n");
    }
}

//! Values of JSON, and of Python as it prints them: what cells are written as in files and tables of any tool.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::text::{quoted, unreadable};
use crate::Result;

/// A value, as it stands: keys of an object may repeat.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(Object),
}

/// The keys of an object with their values, in the order in which they stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object(pub(crate) Vec<(String, Value)>);

impl Value {
    /// Reads a text: a list, tuple or dictionary, or else a word, without the quotes and blanks around it.
    pub(super) fn of_text(text: &str) -> Result<Self> {
        let word = unquoted(text);
        if !word.starts_with(['[', '(', '{']) {
            return Ok(Value::Text(word.to_owned()));
        }
        serde_json::from_str(&json_of_python(word)).map_err(|error| {
            let error = error.to_string();
            let error = error.split(" at line ").next().unwrap_or_default();
            unreadable(format!("{} is no list, tuple or dictionary: {error}", quoted(word)))
        })
    }

    /// The value as a small whole number: `1`, `1.0` and `true` are one.
    pub(super) fn digit(&self) -> Option<u8> {
        match self {
            Value::Bool(bit) => Some(u8::from(*bit)),
            Value::Number(number) => (0..=u8::MAX).find(|&digit| f64::from(digit) == *number),
            Value::Null | Value::Text(_) | Value::List(_) | Value::Object(_) => None,
        }
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Option<&[Value]> {
        match self {
            Value::List(elements) => Some(elements),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Object(_) => None,
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_) => None,
        }
    }

    /// The digits of a list that consists of small whole numbers.
    pub(super) fn digits(&self) -> Option<Vec<u8>> {
        self.list()?.iter().map(Value::digit).collect()
    }
}

/// The value for a message, cut where it is long.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(bit) => write!(f, "{bit}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Text(text) => f.write_str(&quoted(text)),
            Value::List(elements) => write!(f, "a list of {}", elements.len()),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}

impl Object {
    /// The value of a key that has several names, and the name that stands there. `null` is no value.
    pub(super) fn get<'a>(&'a self, names: &[&str]) -> Result<Option<(&'a str, &'a Value)>> {
        let mut found: Option<(&str, &Value)> = None;
        for (key, value) in &self.0 {
            if !names.contains(&key.as_str()) || (*value == Value::Null && names.len() > 1) {
                continue;
            }
            match found {
                Some((first, _)) if first == key => {
                    return Err(unreadable(format!("has the key `{key}` twice")));
                }
                Some((first, other)) if other != value => {
                    return Err(unreadable(format!(
                        "has the keys `{first}` and `{key}`, which differ: leave one out"
                    )));
                }
                Some(_) => {}
                None => found = Some((key, value)),
            }
        }
        Ok(found)
    }

    /// The text that a key has.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        let Some((_, value)) = self.get(&[name])? else { return Ok(None) };
        let text = value.text().ok_or_else(|| unreadable(format!("`{name}` is {value}, not a text")))?;
        Ok(Some(text))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ValueVisitor;
struct ObjectVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bit: bool) -> Result<Value, E> {
        Ok(Value::Bool(bit))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<Value, A::Error> {
        ObjectVisitor.visit_map(keys).map(Value::Object)
    }
}

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut keys: A) -> Result<Object, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = keys.next_entry()? {
            object.push(entry);
        }
        Ok(Object(object))
    }
}

/// A text without the blanks and the pairs of quotes around it.
pub(super) fn unquoted(text: &str) -> &str {
    let inner = |text: &'_ str, quote| Some(text.strip_prefix(quote)?.strip_suffix(quote)?.len());
    let mut text = text.trim();
    while let Some(length) = inner(text, '"').or_else(|| inner(text, '\'')) {
        text = text[1..=length].trim();
    }
    text
}

/// The JSON of what Python prints of lists, tuples, dictionaries, texts, numbers, `True`, `False` and `None`; JSON itself
/// stays the same. What is neither becomes no JSON.
fn json_of_python(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' | '\'' => string_of_python(rest, next, &mut json),
            '(' => push(&mut json, "[", 1),
            ')' | ']' | '}' => {
                // Python allows a comma behind the last element, and tuples of one need it.
                let end = json.trim_end();
                json.truncate(end.strip_suffix(',').unwrap_or(end).len());
                push(&mut json, if next == '}' { "}" } else { "]" }, 1)
            }
            _ if next.is_alphabetic() => {
                let length = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
                let word = match &rest[..length] {
                    "True" => "true",
                    "False" => "false",
                    "None" => "null",
                    word => word,
                };
                push(&mut json, word, length)
            }
            _ => push(&mut json, &rest[..next.len_utf8()], next.len_utf8()),
        };
        rest = &rest[length..];
    }
    json
}

/// Appends a piece that stands for so many bytes.
fn push(json: &mut String, piece: &str, bytes: usize) -> usize {
    json.push_str(piece);
    bytes
}

/// Appends the string that a text begins with, and returns its length there.
fn string_of_python(text: &str, quote: char, json: &mut String) -> usize {
    json.push('"');
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\'' if escaped => {
                json.pop();
                json.push(c);
            }
            _ if escaped => json.push(c),
            _ if c == quote => {
                json.push('"');
                return at + 1;
            }
            '"' => json.push_str("\\\""),
            _ => json.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_and_json_say_the_same() {
        for (python, json) in [
            ("(4, 0, 3)", "[4,0,3]"),
            ("(4,)", "[4]"),
            (" \"(4, 0)\" ", "[4, 0]"),
            ("[['a', 0], ('b', 1),]", r#"[["a",0],["b",1]]"#),
            (
                "{'0_1': 'none', 'x': None, 'y': [True, False],}",
                r#"{"0_1":"none","x":null,"y":[true,false]}"#,
            ),
            (r#"['it\'s', "a 'b'", 'a "b" \\']"#, r#"["it's","a 'b'","a \"b\" \\"]"#),
            (r#"{"a":"(,)","a":[1.0, -2e0]}"#, r#"{"a":"(,)","a":[1.0,-2.0]}"#),
        ] {
            let expected: Value = serde_json::from_str(json).unwrap();
            assert_eq!(Value::of_text(python).unwrap(), expected, "{python}");
        }
        for text in ["(4, 0", "[4 0]", "{'a'}", "['a]", "(None0)", "[\u{e9}]"] {
            let error = Value::of_text(text).unwrap_err().to_string();
            assert!(error.contains("is no list, tuple or dictionary"), "{error}");
        }
    }

    #[test]
    fn quotes_and_blanks_around_a_word_are_none_of_it() {
        for text in ["|a~0|", " |a~0|\t", "\"|a~0|\"", "' |a~0| '", "\"'|a~0|'\""] {
            assert_eq!(Value::of_text(text).unwrap(), Value::Text("|a~0|".to_owned()));
        }
        assert_eq!(["\"", "", "\"\"", "'a\""].map(unquoted), ["\"", "", "", "'a\""]);
    }

    #[test]
    fn numbers_are_digits_however_they_are_written() {
        let list: Value = serde_json::from_str("[0, 1.0, true, false, 255]").unwrap();
        assert_eq!(list.digits(), Some(vec![0, 1, 1, 0, 255]));
        for no_digit in ["[0.5]", "[-1]", "[256]", "[\"1\"]", "[[1]]", "[null]"] {
            assert_eq!(serde_json::from_str::<Value>(no_digit).unwrap().digits(), None);
        }
    }
}

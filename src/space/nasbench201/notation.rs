//! The notations of a cell beside the arch string: the benchmark's nested lists and its own numbers, tuples of NASLib,
//! dictionaries of NNI.

use super::{Cell, EDGES, Op, invalid};
use crate::Result;
use crate::space::text::quoted;
use crate::space::value::{Object, Value};

/// Keys of an object that hold a cell.
const KEYS: [&str; 2] = ["arch", "arch_str"];
/// A line of an architecture file, for messages.
const EXAMPLE: &str =
    r#"{"space":"nasbench201","arch":"|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"}"#;

/// NASLib's numbers of operations.
const NASLIB_OPS: [Op; 5] = [Op::SkipConnect, Op::None, Op::NorConv3x3, Op::NorConv1x1, Op::AvgPool3x3];
/// NASLib's order of edges: by source, where arch strings go by target.
const NASLIB_EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];

/// Reads the keys of a line.
pub(super) fn read_object(object: &Object) -> Result<Cell> {
    match object.get(&KEYS)? {
        Some((_, value)) => read(value),
        None => Err(invalid(format!("has no key `arch`; a line is {EXAMPLE}"))),
    }
}

/// Reads any notation.
pub(super) fn read(value: &Value) -> Result<Cell> {
    match value {
        Value::Text(word) => read_word(word),
        Value::List(nodes) => match value.digits() {
            Some(digits) => read_naslib(&digits),
            None if nodes.len() == 6 && nodes.iter().all(|op| op.text().is_some()) => Err(invalid(
                "six operations may be in the order of arch strings, by target, or in NASLib's, by source: write the \
                 arch string"
                    .to_owned(),
            )),
            None => read_nodes(nodes),
        },
        Value::Object(object) => match object.get(&KEYS)? {
            Some((_, value)) => read(value),
            None => read_nni(object),
        },
        Value::Number(number) => read_word(&number.to_string()),
        Value::Null | Value::Bool(_) => Err(invalid(format!("{value} is no cell; a line is {EXAMPLE}"))),
    }
}

/// Reads any notation where lists name cells of the space: a number is then the benchmark's own.
pub(super) fn read_listed(value: &Value) -> Result<Cell> {
    match value {
        Value::Text(word) if is_number(word) && word.len() < EDGES.len() => of_number(word),
        value => read(value),
    }
}

/// Whether a value has the form of one of the notations.
pub(super) fn has_form(value: &Value) -> bool {
    match value {
        Value::Text(word) => word.starts_with('|') || word.strip_prefix('#').is_some_and(is_number),
        Value::List(nodes) => match value.digits() {
            Some(digits) => digits.len() == EDGES.len(),
            None => nodes.len() == 3 && nodes.iter().all(|node| node.list().is_some()),
        },
        Value::Object(object) => {
            object.0.iter().any(|(key, _)| KEYS.contains(&key.as_str()) || edge_of_key(key).is_some())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Reads a word: an arch string, or `#` and the benchmark's number.
fn read_word(word: &str) -> Result<Cell> {
    let word: String = word.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(number) = word.strip_prefix('#') {
        return of_number(number);
    }
    if is_number(&word) {
        return Err(invalid(ambiguous(&word)));
    }
    if word.contains(':') && word.split(':').all(is_number) {
        let word = quoted(&word);
        return Err(invalid(format!(
            "{word} is a network of the size space of NATS-Bench, which naswot does not have; its cell is \
             |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
        )));
    }
    word.parse()
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What a number without a sign may be.
fn ambiguous(number: &str) -> String {
    let digits = quoted(number);
    if number.len() == EDGES.len() {
        let tuple: Vec<String> = number.chars().map(String::from).collect();
        return format!(
            "{digits} may be six operations in NASLib's order, ({}), or in that of arch strings, or a number of the \
             benchmark: write the tuple, the arch string, or '#' before the number",
            tuple.join(", ")
        );
    }
    format!(
        "{digits} may be the cell's number in the benchmark or that of a row: write '#{}' for the benchmark's, or the \
         arch string",
        number.chars().take(8).collect::<String>()
    )
}

/// The cell of one of the benchmark's numbers.
fn of_number(number: &str) -> Result<Cell> {
    let cell = number.parse().ok().and_then(Cell::of_benchmark_index);
    cell.ok_or_else(|| {
        invalid(format!("{} is not a number of the benchmark, which go from 0 to 15624", quoted(number)))
    })
}

/// The cell whose operations stand on edges, each of which is there once.
fn of_edges(edges: impl IntoIterator<Item = Result<((usize, usize), Op)>>) -> Result<Cell> {
    let mut ops = [None; 6];
    for edge in edges {
        let ((source, target), op) = edge?;
        let place = EDGES.iter().position(|&edge| edge == (source, target));
        let place = place.ok_or_else(|| {
            invalid(format!("there is no edge from node {source} to node {target}; nodes are 0 to 3"))
        })?;
        if ops[place].replace(op).is_some() {
            return Err(invalid(format!("the edge from node {source} to node {target} stands twice")));
        }
    }
    let mut cell = Cell::new([Op::None; 6]);
    for ((place, op), (source, target)) in cell.ops.iter_mut().zip(ops).zip(EDGES) {
        *place = op.ok_or_else(|| {
            invalid(format!("the edge from node {source} to node {target} has no operation"))
        })?;
    }
    Ok(cell)
}

/// Reads NASLib's tuple: the operation of each edge, by source.
fn read_naslib(digits: &[u8]) -> Result<Cell> {
    if digits.len() != NASLIB_EDGES.len() {
        let message = format!("a list of {} numbers is no cell; a tuple of NASLib has 6", digits.len());
        return Err(invalid(message));
    }
    of_edges(NASLIB_EDGES.into_iter().zip(digits).map(|(edge, &digit)| {
        let op = NASLIB_OPS.get(usize::from(digit));
        let op = op.ok_or_else(|| {
            invalid(format!("{digit} is no operation of NASLib's, which are numbered from 0 to 4"))
        })?;
        Ok((edge, *op))
    }))
}

/// Reads the benchmark's nested lists: for each node pairs of operation and source.
fn read_nodes(nodes: &[Value]) -> Result<Cell> {
    of_edges(nodes.iter().zip(1..).flat_map(|(node, target)| {
        let edges = node.list().unwrap_or(std::slice::from_ref(node));
        edges.iter().map(move |edge| match edge.list() {
            Some([Value::Text(op), Value::Number(source)]) => {
                let source = Value::Number(*source).digit().ok_or_else(|| {
                    invalid(format!("node {target} has an edge from {source}; nodes are 0 to 3"))
                })?;
                Ok(((source.into(), target), op.trim().parse()?))
            }
            _ => {
                let message = format!(
                    "node {target} has {edge} where a pair of operation and source must stand, such as [\"none\", 0]"
                );
                Err(invalid(message))
            }
        })
    }))
}

/// Reads NNI's dictionary: `source_target` and an operation, which may lack the benchmark's `nor_`.
fn read_nni(object: &Object) -> Result<Cell> {
    of_edges(object.0.iter().map(|(key, op)| {
        let edge = edge_of_key(key).ok_or_else(|| {
            invalid(format!("the key {} is no edge, such as `0_1`, and none is `arch`", quoted(key)))
        })?;
        let name = op.text().ok_or_else(|| invalid(format!("`{key}` is {op}, not an operation")))?;
        let op = match name.trim() {
            "conv_1x1" => Op::NorConv1x1,
            "conv_3x3" => Op::NorConv3x3,
            name => name.parse()?,
        };
        Ok((edge, op))
    }))
}

/// The edge that a key of NNI's names.
fn edge_of_key(key: &str) -> Option<(usize, usize)> {
    let (source, target) = key.split_once('_')?;
    Some((source.parse().ok()?, target.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCH: &str =
        "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|";

    fn read_text(text: &str) -> Result<Cell> {
        read(&Value::of_text(text)?)
    }

    #[test]
    fn all_notations_of_a_cell_are_that_cell() {
        let nested = "[[('avg_pool_3x3', 0)], [('skip_connect', 0), ('none', 1)], \
                      [('nor_conv_1x1', 0), ('avg_pool_3x3', 1), ('nor_conv_1x1', 2)]]";
        let nni = "{'1_2': 'none', '0_1': 'avg_pool_3x3', '0_2': 'skip_connect', '0_3': 'conv_1x1', \
                   '1_3': 'avg_pool_3x3', '2_3': 'nor_conv_1x1'}";
        for text in [
            ARCH.to_owned(),
            ARCH.replace('+', " + "),
            format!("\" {} \"", ARCH.replace('|', " | ")),
            format!("['{ARCH}']").replace(['[', ']'], ""),
            "(4, 0, 3, 1, 4, 3)".to_owned(),
            "[4,0,3.0,1,4,3]".to_owned(),
            nested.to_owned(),
            nested.replace('(', "[").replace(')', "]").replace('\'', "\""),
            nni.to_owned(),
            nni.replace('\'', "\""),
        ] {
            assert_eq!(read_text(&text).unwrap().to_string(), ARCH, "{text}");
        }
    }

    #[test]
    fn every_cell_has_one_tuple_of_naslib() {
        let mut read = std::collections::HashSet::new();
        for number in 0..15_625_u32 {
            let digits: Vec<u8> = (0..6).map(|place| (number / 5_u32.pow(place) % 5) as u8).collect();
            let cell = read_naslib(&digits).unwrap();
            for (edge, digit) in NASLIB_EDGES.iter().zip(&digits) {
                let place = EDGES.iter().position(|other| other == edge).unwrap();
                assert_eq!(cell.ops[place], NASLIB_OPS[usize::from(*digit)]);
            }
            read.insert(cell);
        }
        assert_eq!(read.len(), 15_625);
    }

    #[test]
    fn what_may_be_two_cells_is_refused_with_both_readings() {
        for (text, readings) in [
            ("12804", ["the cell's number in the benchmark", "that of a row: write '#12804'"]),
            ("403143", ["NASLib's order, (4, 0, 3, 1, 4, 3)", "that of arch strings"]),
            (
                "['none', 'none', 'none', 'none', 'none', 'skip_connect']",
                ["the order of arch strings, by target", "NASLib's, by source"],
            ),
        ] {
            let error = read_text(text).unwrap_err().to_string();
            assert!(readings.iter().all(|reading| error.contains(reading)), "{error}");
        }
        let listed = |text: &str| read_listed(&Value::of_text(text).unwrap());
        assert_eq!(listed("12804").unwrap(), read_text("#12804").unwrap());
        assert!(listed("000004").is_err() && listed("403143").is_err());
    }

    #[test]
    fn what_is_no_cell_says_why() {
        for (text, message) in [
            ("#15625", "\"15625\" is not a number of the benchmark, which go from 0 to 15624"),
            ("(4, 0, 3)", "a list of 3 numbers is no cell; a tuple of NASLib has 6"),
            ("(4, 0, 3, 1, 4, 5)", "5 is no operation of NASLib's, which are numbered from 0 to 4"),
            ("64:64:64:64:64", "\"64:64:64:64:64\" is a network of the size space of NATS-Bench"),
            ("{'0_1': 'none'}", "the edge from node 0 to node 2 has no operation"),
            ("{'0_1': 'none', '0_1': 'none'}", "the edge from node 0 to node 1 stands twice"),
            ("{'0_4': 'none'}", "there is no edge from node 0 to node 4"),
            ("{'0_1': 5}", "`0_1` is 5, not an operation"),
            ("{'key': 'none'}", "the key \"key\" is no edge, such as `0_1`, and none is `arch`"),
            ("[[['none', 1]]]", "there is no edge from node 1 to node 1"),
            ("[['none', 0]]", "node 1 has \"none\" where a pair of operation and source must stand"),
            ("[[['conv', 0]]]", "unknown operation \"conv\""),
        ] {
            let error = read_text(text).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}

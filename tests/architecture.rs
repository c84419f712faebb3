//! Architecture files: what is read, what is written, and that no input whatever causes a panic.

use std::io::{self, BufReader, Read};

use naswot::workloads::{NASBENCH101, NASBENCH201};
use naswot::{Architecture, Error, SkeletonSettings, Space, nasbench101, nasbench201};
use proptest::prelude::*;

const CONV: &str = r#"{"space":"nasbench101","adjacency":[[0,1,0],[0,0,1],[0,0,0]],"ops":["input","conv3x3-bn-relu","output"]}"#;
const SKIP: &str =
    r#"{"space":"nasbench201","arch":"|skip_connect~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"}"#;

fn any_architecture() -> impl Strategy<Value = Architecture> {
    let nasbench101 =
        any::<u64>().prop_map(|seed| nasbench101::sample_matrices(1, seed).next().unwrap().into());
    let nasbench201 = any::<u64>().prop_map(|seed| nasbench201::sample(1, seed).unwrap()[0].into());
    prop_oneof![nasbench101, nasbench201]
}

fn error(line: &str) -> String {
    Architecture::from_json(line).unwrap_err().to_string()
}

proptest! {
    #[test]
    fn what_is_written_reads_back(architecture in any_architecture()) {
        let json = architecture.to_json();
        prop_assert_eq!(&Architecture::from_json(&json).unwrap(), &architecture);
        prop_assert!(!json.contains([' ', '\n']));
        let (arch, id) = (architecture.arch(), architecture.id());
        match architecture.space() {
            Space::NasBench101 => {
                let cell: nasbench101::Cell = arch.parse().unwrap();
                prop_assert_eq!((cell.into(), cell.hash()), (architecture, id));
            }
            Space::NasBench201 => {
                prop_assert_eq!(&arch, &id);
                prop_assert_eq!(Architecture::from(arch.parse::<nasbench201::Cell>().unwrap()), architecture);
            }
            space => panic!("{space} is not tested"),
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(line in "\\PC*") {
        let _ = Architecture::from_json(&line);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        Architecture::read_lines(&bytes[..]).for_each(drop);
        Architecture::read_cells(&bytes[..]).for_each(drop);
        Architecture::read_lines(&[b"[{", &bytes[..]].concat()[..]).for_each(drop);
    }
}

#[test]
fn both_forms_are_read_and_written_as_documented() {
    for line in [CONV, SKIP] {
        assert_eq!(Architecture::from_json(line).unwrap().to_json(), line);
    }
}

#[test]
fn the_standard_workloads_are_read_and_written_alike() {
    for file in [NASBENCH101, NASBENCH201] {
        let written: Vec<String> =
            Architecture::read_lines(file.as_bytes()).map(|(_, read)| read.unwrap().to_json()).collect();
        assert_eq!(written, file.lines().collect::<Vec<_>>());
    }
}

#[test]
fn the_order_of_keys_spaces_and_further_keys_do_not_matter() {
    let conv = Architecture::from_json(CONV).unwrap();
    let other = r#" { "ops" : ["input", "conv3x3-bn-relu", "output"], "accuracy": {"ops": [1, [2]]}, "arch": 7,
        "adjacency": [[0, 1, 0], [0, 0, 1], [0, 0, 0]], "note": 1, "note": 2, "space": "nasbench\u003101" } "#;
    assert_eq!(Architecture::from_json(other).unwrap(), conv);

    let skip = Architecture::from_json(SKIP).unwrap();
    let other = SKIP.replace('{', r#"{"adjacency":null,"ops":"of another space","#);
    assert_eq!(Architecture::from_json(&other).unwrap(), skip);
}

#[test]
fn other_tools_keys_and_notations_are_read() {
    for (space, cell, arch) in [
        (
            "nb201",
            r#""arch_str":"|none~0| + |none~0|none~1| + |none~0|none~1|skip_connect~2|""#,
            "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
        ),
        (
            "nasbench201",
            r#""arch":[1, 1, 1, 1, 1, 0]"#,
            "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
        ),
        (
            "nasbench201",
            "\"arch\":\"#1\"",
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
        ),
        ("nasbench101", r#""arch":"011001000/2""#, "011001000/2"),
        ("nasbench101", r#""id":"its hash","index":7,"arch":"011001000/2","adjacency":null"#, "011001000/2"),
        (
            "NAS-Bench-101",
            r#""matrix":[[false,true],[false,false]],"operations":["INPUT","Output"]"#,
            "0100/",
        ),
        (
            "nasbench101",
            r#""module_adjacency":[0.0,1.0,0.0,0.0],"module_operations":["input","output"]"#,
            "0100/",
        ),
    ] {
        let line = format!(r#"{{"space":"{space}",{cell}}}"#);
        assert_eq!(Architecture::from_json(&line).unwrap().arch(), arch, "{line}");
        assert_eq!(line.parse::<Architecture>().unwrap().arch(), arch, "{line}");
    }
}

#[test]
fn a_word_may_be_of_two_spaces() {
    let both = "(0, 1, 0, 0, 0, 1)";
    let refused = both.parse::<Architecture>().unwrap_err().to_string();
    for reading in [
        "may be 0100/ of nasbench101",
        "|skip_connect~0|+|none~0|skip_connect~1|+|skip_connect~0|skip_connect~1|none~2| of nasbench201",
    ] {
        assert!(refused.contains(reading), "{refused}");
    }
    assert_eq!(Space::NasBench101.parse_arch(both).unwrap().arch(), "0100/");
    assert_eq!(Architecture::names_in_rows(both).len(), 2);
    assert_eq!(
        Architecture::names_in_rows("D32D0B26D534203B48D866FACD98CC3E"),
        ["d32d0b26d534203b48d866facd98cc3e"]
    );
    assert!(Architecture::names_in_rows("12804").is_empty() && Architecture::names_in_rows("(1").is_empty());
    let error = "cells.jsonl".parse::<Architecture>().unwrap_err().to_string();
    assert_eq!(error, "\"cells.jsonl\" is no cell of nasbench101 or nasbench201 in any notation");
    let error = "12804".parse::<Architecture>().unwrap_err().to_string();
    assert!(error.ends_with("in any notation; a number of nasbench201 is written #12804"), "{error}");
    let other = r#"{"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"]}"#;
    let error = Space::NasBench201.parse_arch(other).unwrap_err().to_string();
    assert_eq!(error, "is of the space \"nasbench101\", not of nasbench201");
}

#[test]
fn a_hash_is_read_in_any_case() {
    let hash = "D32D0B26D534203B48D866FACD98CC3E";
    let cells =
        [hash.to_owned(), hash.to_lowercase()].map(|hash| hash.parse::<Architecture>().unwrap().arch());
    assert_eq!(cells, ["011001000/0", "011001000/0"]);
}

#[test]
fn a_matrix_is_pruned() {
    let line = r#"{"space":"nasbench101","adjacency":[[0,1,1],[0,0,0],[0,0,0]],"ops":["input","maxpool3x3","output"]}"#;
    assert_eq!(Architecture::from_json(line).unwrap().arch(), "0100/");
}

#[test]
fn a_line_that_is_no_architecture_says_what_is_wrong_and_where() {
    let cases = [
        ("", r#""" is not a JSON object"#),
        ("nasbench201", r#""nasbench201" is not a JSON object"#),
        (r#"["nasbench201"]"#, r#""[\"nasbench201\"]" is not a JSON object"#),
        ("\u{feff}{}", r#""\u{feff}{}" is not a JSON object"#),
        ("{", "broken JSON, column 1: EOF while parsing an object"),
        (r#"{"space":"nasbench201","arch":"|"#, "broken JSON, column 32: EOF while parsing a string"),
        (r#"{"space":nasbench201}"#, "broken JSON, column 11: expected ident"),
        (r#"{"space":"nasbench201",}"#, "broken JSON, column 24: trailing comma"),
        (r#"{"space":"nasbench201"} {}"#, "broken JSON, column 25: trailing characters"),
        ("{}", "has no key `space`: which of nasbench101, nasbench201?"),
        (r#"{"space":null}"#, "`space` is null, not a text"),
        (r#"{"space":5}"#, "`space` is 5, not a text"),
        (r#"{"space":"nasbench201","space":"nasbench201"}"#, "has the key `space` twice"),
        (r#"{"space":"nasbench301"}"#, r#"unknown space "nasbench301" (known are nasbench101, nasbench201)"#),
        (
            r#"{"space":"nasbench201"}"#,
            r#"has no key `arch`; a line is {"space":"nasbench201","arch":"|none~0|"#,
        ),
        (
            r#"{"space":"nasbench201","arch":"x","arch_str":"y"}"#,
            "has the keys `arch` and `arch_str`, which differ",
        ),
        (r#"{"space":"nasbench201","arch":["|"]}"#, r#"node 1 has "|" where a pair of operation and source"#),
        (r#"{"space":"nasbench201","arch":""}"#, r#"nasbench201: "" describes 1 nodes, not 3"#),
        (r#"{"space":"nasbench101"}"#, r#"has no key `adjacency`; a line is {"space":"nasbench101","adj"#),
        (r#"{"space":"nasbench101","ops":[]}"#, "has no key `adjacency`; a line is"),
        (r#"{"space":"nasbench101","adjacency":[]}"#, "has `adjacency`, but no `ops`"),
        (
            r#"{"space":"nasbench101","adjacency":"0100","ops":["input","output"]}"#,
            r#"the adjacency matrix is "0100", not a list of its rows"#,
        ),
        (
            r#"{"space":"nasbench101","adjacency":[0,1],"ops":["input","output"]}"#,
            "the adjacency matrix is a list of 2, not a list of its rows",
        ),
        (
            r#"{"space":"nasbench101","adjacency":[[0,-1],[0,0]],"ops":["input","output"]}"#,
            "row 0, column 1 of the adjacency matrix is -1, not 0 or 1",
        ),
        (
            r#"{"space":"nasbench101","adjacency":[[0,0.5],[0,0]],"ops":["input","output"]}"#,
            "row 0, column 1 of the adjacency matrix is 0.5, not 0 or 1",
        ),
        (
            r#"{"space":"nasbench101","adjacency":[[0,"1"],[0,0]],"ops":["input","output"]}"#,
            r#"row 0, column 1 of the adjacency matrix is "1", not 0 or 1"#,
        ),
        (
            r#"{"space":"nasbench101","adjacency":[],"ops":["input",3]}"#,
            "vertex 1: 3 is not the name of an operation",
        ),
    ];
    for (line, why) in cases {
        let message = error(line);
        assert!(message.contains(why), "{line}: {message} does not say {why}");
    }
}

#[test]
fn a_cell_that_is_not_in_its_space_is_an_error_of_that_space() {
    for line in [
        CONV.replace("[0,1,0]", "[0,2,0]"),
        CONV.replace("[0,1,0]", "[1,1,0]"),
        CONV.replace("[0,1,0]", "[0,0,0]"),
        CONV.replace("[0,1,0]", "[0,1]"),
        CONV.replace("conv3x3-bn-relu", "conv5x5-bn-relu"),
        CONV.replace("\"output\"", "\"output\",\"output\""),
        r#"{"space":"nasbench101","adjacency":[],"ops":[]}"#.to_owned(),
    ] {
        let error = Architecture::from_json(&line).unwrap_err();
        assert!(matches!(error, Error::Cell { space: "nasbench101", .. }), "{line}: {error:?}");
        assert!(!error.is_fatal());
    }
}

#[test]
fn a_message_stays_short_and_on_one_line() {
    let long = "line\n".repeat(1000);
    let escaped = long.replace('\n', "\\n");
    for line in [
        long,
        format!(r#"{{"space":"{escaped}"}}"#),
        format!(r#"{{"space":"nasbench101","adjacency":"{escaped}"}}"#),
        format!(r#"{{"space":"nasbench201","arch":"{escaped}"}}"#),
    ] {
        let message = error(&line);
        assert!(message.len() < 300 && !message.contains('\n'), "{message}");
    }
}

#[test]
fn lines_are_numbered_and_blank_ones_skipped() {
    let file = format!("\n{CONV}\r\n \t\n{{}}\n{SKIP}");
    let lines: Vec<_> = Architecture::read_lines(file.as_bytes()).collect();
    let numbers: Vec<usize> = lines.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 4, 5]);
    assert_eq!(lines[0].1.as_ref().unwrap().to_json(), CONV);
    assert!(matches!(lines[1].1, Err(Error::Architecture { .. })));
    assert_eq!(lines[2].1.as_ref().unwrap().to_json(), SKIP);
    assert_eq!(Architecture::read_lines("\n\n".as_bytes()).count(), 0);
}

#[test]
fn arrays_and_objects_over_several_lines_are_read() {
    let pretty =
        |line: &str| line.replace("\",\"", "\",\n  \"").replacen('{', "{\n  ", 1).replace("\"}", "\"\n}");
    for (file, numbers) in [
        (format!("[{CONV},{SKIP}]"), [1, 1]),
        (format!("[\n{CONV},\n{SKIP}\n]\n"), [2, 3]),
        (format!("\u{feff}\n [ {CONV},\r\n\r\n{SKIP}]"), [2, 4]),
        (format!("{SKIP}\n{CONV}"), [1, 2]),
    ] {
        let read: Vec<_> = Architecture::read_lines(file.as_bytes()).collect();
        assert_eq!(read.iter().map(|(number, _)| *number).collect::<Vec<_>>(), numbers, "{file}");
        assert!(read.iter().all(|(_, read)| read.is_ok()), "{file}: {read:?}");
    }
    let file = format!("{}\n{}", pretty(SKIP), pretty(SKIP));
    let read: Vec<_> =
        Architecture::read_lines(file.as_bytes()).map(|(n, read)| (n, read.unwrap().to_json())).collect();
    assert_eq!(read, [(1, SKIP.to_owned()), (5, SKIP.to_owned())]);
    // What is no object is a piece of its own, and so is one that does not end.
    let file = format!("[\n{SKIP}, 5\n\"}}\"\n{SKIP}, {{\"space\":\n");
    let read: Vec<_> = Architecture::read_lines(file.as_bytes()).collect();
    let read: Vec<_> = read.iter().map(|(number, read)| (*number, read.is_ok())).collect();
    assert_eq!(read, [(2, true), (2, false), (3, false), (4, true), (4, false)]);
}

#[test]
fn the_first_line_is_read_without_the_second() {
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("nobody has asked for a second line")
        }
    }
    let line = format!("{SKIP}\n");
    let mut lines = Architecture::read_lines(BufReader::new(line.as_bytes().chain(Endless)));
    assert!(lines.next().unwrap().1.is_ok());
}

#[test]
fn a_line_that_is_not_utf8_is_that_lines_error() {
    let file = [b"{\"\xff\n", SKIP.as_bytes()].concat();
    let lines: Vec<_> = Architecture::read_lines(&file[..]).collect();
    assert_eq!(lines[0].1.as_ref().unwrap_err().to_string(), "byte 3 is not UTF-8");
    assert!(lines[1].1.is_ok());
}

#[test]
fn a_line_of_a_mebibyte_is_read_and_a_longer_one_is_that_lines_error() {
    let padded = |length: usize| SKIP.to_owned() + &" ".repeat(length - SKIP.len());
    for end in ["", "\n"] {
        let file =
            format!("{}\n{}\n{SKIP}\n{}{end}", padded(1 << 20), padded((1 << 20) + 1), padded(3 << 20));
        let lines: Vec<_> = Architecture::read_lines(BufReader::new(file.as_bytes())).collect();
        let read: Vec<_> = lines.iter().map(|(number, line)| (*number, line.is_ok())).collect();
        assert_eq!(read, [(1, true), (2, false), (3, true), (4, false)]);
        assert_eq!(lines[1].1.as_ref().unwrap_err().to_string(), "the line is longer than 1048576 bytes");
    }
}

#[test]
fn a_reader_that_fails_ends_with_its_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    // Within a line, and within a line that is too long.
    for length in [100, 2 << 20] {
        let start = format!("{SKIP}\n{}", " ".repeat(length));
        let mut lines = Architecture::read_lines(BufReader::new(start.as_bytes().chain(Broken)));
        assert!(lines.next().unwrap().1.is_ok());
        let (number, last) = lines.next().unwrap();
        let last = last.unwrap_err();
        assert_eq!((number, last.to_string().as_str()), (2, "architectures: unplugged"));
        assert!(last.is_fatal());
        assert!(lines.next().is_none());
    }
}

#[test]
fn networks_are_the_benchmarks_unless_told_otherwise() {
    let conv = Architecture::from_json(CONV).unwrap();
    let skip = Architecture::from_json(SKIP).unwrap();
    for architecture in [&conv, &skip] {
        let network = |stem, cells| architecture.network(&SkeletonSettings { stem, cells });
        let default = network(None, None).unwrap();
        assert_eq!(default.id(), architecture.id());
        let SkeletonSettings { stem, cells } = architecture.space().settings(&SkeletonSettings::default());
        assert_eq!((default.parameters(), stem), (network(Some(16), cells).unwrap().parameters(), Some(16)));
        assert!(network(Some(0), None).is_err());
        assert!(network(Some(16), Some(0)).is_err());
        assert!(network(Some(usize::MAX), Some(usize::MAX)).is_err());
    }
    let bits = |architecture: &Architecture| {
        let network = architecture.network(&SkeletonSettings::default()).unwrap();
        network.activations(32, 32, naswot::Convention::Relu).unwrap()
    };
    assert_eq!([bits(&conv), bits(&skip)], [188_416, 40_960]);
}

#[test]
fn spaces_have_names_and_sizes() {
    for space in Space::ALL {
        assert_eq!(space.name().parse::<Space>().unwrap(), space);
        assert_eq!(format!("{space:>12}"), format!(" {}", space.name()));
        for name in
            [space.title().to_owned(), space.title().to_lowercase(), space.name().replace("nas", "N-A_s ")]
        {
            assert_eq!(name.parse::<Space>().unwrap(), space);
        }
    }
    for name in ["nb201", "NATS-TSS", "nats-bench-tss"] {
        assert_eq!(name.parse::<Space>().unwrap(), Space::NasBench201);
    }
    assert!("nats-bench".parse::<Space>().is_err() && "".parse::<Space>().is_err());
    for space in Space::ALL {
        assert_eq!(space.all().unwrap().count(), space.count().unwrap());
    }
}

#[test]
fn spaces_sample_and_mutate_within_themselves() {
    for space in Space::ALL {
        let sample = space.sample(50, 3).unwrap();
        assert_eq!(sample[..7], space.sample(7, 3).unwrap());
        for parent in sample {
            let child = parent.mutate(1).unwrap();
            assert_eq!((parent.space(), child.space()), (space, space));
            assert_ne!(parent.id(), child.id());
            assert_eq!(parent.mutate(1), Some(child));
        }
        let error = space.sample(space.count().unwrap() + 1, 0).unwrap_err();
        assert!(matches!(error, Error::Setting { name: "n", .. }));
    }
    assert_eq!(Space::NasBench101.parse_arch("0100/").unwrap().mutate(0), None);
}

#[test]
fn architectures_are_found_by_what_they_are_called() {
    let unknown = "0123456789abcdef0123456789abcdef";
    for (space, message) in [
        (Space::NasBench101, format!("nasbench101: no cell of the space has the hash {unknown}")),
        (Space::NasBench201, format!("nasbench201: \"{unknown}\" describes 1 nodes, not 3")),
    ] {
        let sample = space.sample(3, 9).unwrap();
        let ids = sample.iter().map(Architecture::id);
        let names =
            ids.chain(sample.iter().map(Architecture::arch)).chain([unknown.to_owned(), "x".to_owned()]);
        let mut found = space.find(&names.collect::<Vec<_>>());
        assert!(found.pop().unwrap().is_err());
        assert_eq!(found.pop().unwrap().unwrap_err().to_string(), message);
        let found: Vec<Architecture> = found.into_iter().map(Result::unwrap).collect();
        assert_eq!(found, [&sample[..], &sample].concat());
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// Changes 1 to 4 places: a byte replaced, copied, inserted or removed, a digit set, a span repeated, the end cut.
    fn mutate(&mut self, text: &str) -> Vec<u8> {
        const ALPHABET: &[u8] = b"{}[]\",:|+~/0123.-enops \\\n\xff\0";
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(4) {
            let (at, other) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let here = bytes.get(at).copied();
            let any = ALPHABET[self.below(ALPHABET.len())];
            match (self.below(12), here) {
                (0..2, Some(_)) => bytes[at] = any,
                (2..4, Some(here)) => bytes.iter_mut().skip(other).take(1).for_each(|byte| *byte = here),
                (4..6, _) => bytes.insert(at, any),
                (6..8, Some(_)) => drop(bytes.remove(at)),
                (8..10, _) => {
                    if let Some(digit) = bytes.iter_mut().skip(at).find(|byte| byte.is_ascii_digit()) {
                        *digit = b'0' + self.below(3) as u8;
                    }
                }
                (10, _) => bytes.extend_from_within(at.min(other)..at.max(other)),
                (11, _) => bytes.truncate(at),
                _ => {}
            }
        }
        bytes
    }
}

/// Calls a reader with 100,000 inputs, nine in ten of them mutations of what it accepts, and returns how
/// many it took.
fn bombard(seed: u64, accepted: &[String], mut read: impl FnMut(&[u8]) -> bool) -> usize {
    let mut random = Random(seed);
    let inputs = (0..100_000).map(|i| match i % 10 {
        0 => (0..random.below(64)).map(|_| random.below(256) as u8).collect(),
        _ => random.mutate(&accepted[i % accepted.len()]),
    });
    inputs.filter(|input| read(input)).count()
}

#[test]
fn a_hundred_thousand_broken_lines_are_read_without_a_panic() {
    let nasbench101 = nasbench101::sample_matrices(50, 0).map(Architecture::from);
    let nasbench201 = nasbench201::sample(49, 0).unwrap().into_iter().map(Architecture::from);
    let lines: Vec<String> =
        nasbench101.chain(nasbench201).map(|architecture| architecture.to_json()).collect();
    let read = bombard(1, &lines, |line| {
        let mut any = false;
        for (_, architecture) in Architecture::read_lines(line) {
            let Ok(architecture) = architecture else { continue };
            assert_eq!(Architecture::from_json(&architecture.to_json()).unwrap(), architecture);
            architecture.network(&SkeletonSettings { stem: Some(16), cells: Some(1) }).unwrap();
            any = true;
        }
        any
    });
    assert!((500..50_000).contains(&read), "{read} were read");
}

#[test]
fn a_hundred_thousand_broken_words_are_read_without_a_panic() {
    let words: Vec<String> = nasbench101::sample_matrices(99, 0).map(|cell| cell.to_string()).collect();
    let read = bombard(2, &words, |word| {
        let cell = String::from_utf8_lossy(word).parse::<nasbench101::Cell>();
        cell.is_ok_and(|cell| cell.to_string().parse::<nasbench101::Cell>().unwrap() == cell)
    });
    assert!((500..50_000).contains(&read), "{read} were read");

    let words: Vec<String> = nasbench201::sample(99, 0).unwrap().iter().map(ToString::to_string).collect();
    let read = bombard(3, &words, |word| {
        let word = String::from_utf8_lossy(word);
        word.parse::<nasbench201::Cell>().is_ok_and(|cell| cell.to_string() == word)
    });
    assert!((500..50_000).contains(&read), "{read} were read");
}

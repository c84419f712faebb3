//! What a user of `naswot score` can rely on when a run is killed or interrupted, and when it is resumed.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::folder::{
    FORMATS, Folder, csv_fields, interrupt, length, networks, wait_until, whole_lines, without_seconds,
};
use naswot::Space;
use naswot_cli::columns::COLUMNS;

#[test]
fn a_run_that_is_killed_again_and_again_ends_with_the_rows_of_one_that_is_not() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 40);
    for format in FORMATS {
        folder.run(&format!("cells.jsonl -o whole.{format}"), 0);
        let whole = folder.read(&format!("whole.{format}"));
        let name = format!("killed.{format}");
        for part in 1..5 {
            let mut child = folder.start(&format!("cells.jsonl -o {name} --resume"));
            // At an odd length, which is somewhere within a row.
            let enough = whole.len() as u64 * part / 5 + 7 * part;
            wait_until("rows come", || {
                length(&folder.path(&name)) >= enough || child.try_wait().unwrap().is_some()
            });
            child.kill().unwrap();
            child.wait().unwrap();
            let rows = folder.read(&name);
            let rows = without_seconds(whole_lines(&rows));
            assert_eq!(rows, without_seconds(&whole)[..rows.len()]);
        }
        let before = folder.read(&name);
        folder.run(&format!("cells.jsonl -o {name} --resume"), 0);
        let after = folder.read(&name);
        assert!(after.starts_with(whole_lines(&before)), "finished rows are kept byte for byte");
        assert_eq!(without_seconds(&after), without_seconds(&whole));
    }
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_with_the_rows_of_one_that_is_not() {
    let folder = Folder::new();
    // A cell that comes again, too: what it came to may stand in a row of an earlier run.
    let lines = networks(20);
    folder.write("cells.jsonl", &[&lines[..], &lines[..5]].concat().join("\n"));
    let start = Instant::now();
    folder.run("cells.jsonl -o whole.csv", 0);
    let whole = without_seconds(&folder.read("whole.csv"));
    let takes = start.elapsed();
    // Nothing but the moments is random, and each of 20 equal parts of the run has one.
    let mut state = std::process::id();
    for part in 0..20 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let moment = takes.mul_f64((f64::from(part) + f64::from(state >> 16) / 65_536.0) / 20.0);
        let name = format!("{part}.csv");
        let mut child = folder.start(&format!("cells.jsonl -o {name} --resume"));
        thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        let before = fs::read_to_string(folder.path(&name)).unwrap_or_default();
        folder.run(&format!("cells.jsonl -o {name} --resume"), 0);
        let after = folder.read(&name);
        assert!(after.starts_with(whole_lines(&before)), "killed after {moment:?}");
        assert_eq!(without_seconds(&after), whole, "killed after {moment:?}");
    }
}

#[test]
fn a_row_that_was_cut_anywhere_is_written_again() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    for format in FORMATS {
        let name = format!("scores.{format}");
        folder.run(&format!("cells.jsonl -o {name}"), 0);
        let whole = folder.read(&name);
        let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
        let cuts = ends.iter().flat_map(|&end| [end - 1, end, end + 1, end + 30]).chain([0, 1, 5, 150]);
        for cut in cuts.filter(|&cut| cut <= whole.len()) {
            folder.write(&name, &whole[..cut]);
            folder.run(&format!("cells.jsonl -o {name} --resume"), 0);
            let again = folder.read(&name);
            assert!(again.starts_with(whole_lines(&whole[..cut])));
            assert_eq!(without_seconds(&again), without_seconds(&whole), "cut at {cut}");
        }
    }
}

#[test]
fn an_interrupted_run_keeps_its_rows_and_can_go_on() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 12);
    for (format, signal) in FORMATS.into_iter().zip(["-INT", "-TERM"]) {
        let name = format!("scores.{format}");
        // Half of the networks, then silence: the run waits for more.
        let mut child = folder.start(&format!("- -o {name}"));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all((networks(12)[..6].join("\n") + "\n").as_bytes()).unwrap();
        let rows = || fs::read_to_string(folder.path(&name)).unwrap_or_default().matches("0.1.0").count();
        wait_until("six rows come", || rows() == 6);
        interrupt(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let before = folder.read(&name);
        assert!(before.ends_with('\n'));
        folder.run(&format!("cells.jsonl -o {name} --resume"), 0);
        assert!(folder.read(&name).starts_with(&before));
        assert_eq!(rows(), 12);
    }
}

#[test]
fn an_interrupted_run_finishes_what_it_computes() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 15_000);
    let child = folder.start("cells.jsonl -o scores.csv");
    wait_until("rows come", || length(&folder.path("scores.csv")) > 1000);
    interrupt(&child, "-INT");
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let said = "stopped; --resume goes on with scores.csv\n";
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(130), said));
    let rows = folder.read("scores.csv");
    assert!(rows.ends_with('\n'));
    for (index, row) in rows.lines().skip(1).enumerate() {
        let row = csv_fields(row);
        assert_eq!((&row[0], row[5].is_empty()), (&index.to_string(), false));
    }
}

/// A command that does not stop half way leaves it to the process.
#[test]
fn a_signal_ends_a_command_that_does_not_listen() {
    let folder = Folder::new();
    for signal in ["-INT", "-TERM"] {
        let mut child =
            folder.command("plan -").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // It stays open until the end, and its first line shows that the command runs.
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", networks(1)[0]).unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        interrupt(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
    }
}

#[test]
fn a_search_and_the_hashing_of_a_space_can_be_interrupted() {
    let folder = Folder::new();
    folder.write("ids.txt", "f_is_no_hash\n28cfc7874f6d200472e1a9dcd8650aa0\n");
    let mut table = "arch,accuracy\n".to_owned();
    for architecture in Space::NasBench101.sample(3, 0).unwrap() {
        table += &format!("{},0.9\n", architecture.arch());
    }
    folder.write("table.csv", &table);
    for arguments in [
        "search --space nasbench201 --samples 100000",
        "search --space nasbench101 --accuracy table.csv",
        "score --space nasbench101 --only ids.txt",
    ] {
        let mut command = folder.command(arguments);
        // Where the cache has the hashes, the run is over before it is interrupted.
        command.env("NASWOT_CACHE_DIR", folder.path("cache"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(Duration::from_millis(700));
        interrupt(&child, "-INT");
        let start = Instant::now();
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert_eq!(
            (status.code(), String::from_utf8(stderr).unwrap().as_str()),
            (Some(130), ""),
            "{arguments}"
        );
        assert!(start.elapsed() < Duration::from_secs(4), "{arguments}: {:?}", start.elapsed());
    }
}

#[test]
fn failed_rows_stay_unless_they_are_to_be_scored_again() {
    let folder = Folder::new();
    let mut lines = networks(5);
    lines[1] = "{}".to_owned();
    for format in FORMATS {
        folder.write("cells.jsonl", &lines.join("\n"));
        let name = format!("scores.{format}");
        folder.run(&format!("cells.jsonl -o {name}"), 1);
        let before = folder.read(&name);
        folder.run(&format!("cells.jsonl -o {name} --resume"), 1);
        assert_eq!(folder.read(&name), before);

        folder.networks("cells.jsonl", 7);
        let stderr = folder.run(&format!("cells.jsonl -o {name} --resume"), 2);
        assert!(stderr.contains("failed, but cells.jsonl:2 can be read now; --retry-failed"), "{stderr}");
        assert_eq!(folder.read(&name), before);

        folder.run(&format!("cells.jsonl -o {name} --resume --retry-failed"), 0);
        let after = folder.read(&name);
        let first = usize::from(format == "csv");
        for (index, (old, new)) in before.lines().skip(first).zip(after.lines().skip(first)).enumerate() {
            assert_eq!(old == new, index != 1, "only the failed row is another");
        }
        folder.run(&format!("cells.jsonl -o whole.{format}"), 0);
        assert_eq!(without_seconds(&after), without_seconds(&folder.read(&format!("whole.{format}"))));
        assert!(!folder.path(&format!("{name}.retried")).exists());
    }
}

#[test]
fn failed_rows_stay_where_scoring_them_again_is_interrupted() {
    let folder = Folder::new();
    let mut lines = networks(3000);
    // A cell that comes again, among those whose turn comes late.
    lines[2900] = lines[2800].clone();
    folder.write("cells.jsonl", &lines.join("\n"));
    for format in FORMATS {
        let (name, waiting) = (format!("scores.{format}"), folder.path(&format!("scores.{format}.retried")));
        folder.run(&format!("cells.jsonl -o {name} --memory-limit 1"), 1);
        let before = folder.read(&name);
        let child = folder.start(&format!("cells.jsonl -o {name} --resume --retry-failed"));
        wait_until("rows come", || length(&waiting) > 20_000);
        interrupt(&child, "-INT");
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
        let after = folder.read(&name);
        let pairs: Vec<(&str, &str)> = before.lines().zip(after.lines()).collect();
        assert_eq!((pairs.len(), after.lines().count()), (before.lines().count(), pairs.len()));
        let first = usize::from(format == "csv");
        let again = pairs[first..].iter().take_while(|(old, new)| old != new).count();
        assert!(0 < again && again < 2800, "{again} rows were scored again");
        assert!(pairs[first + again..].iter().all(|(old, new)| old == new));
        assert!(!folder.path(&format!("{name}.retried")).exists());
    }
}

#[test]
fn rows_of_other_settings_or_networks_are_not_gone_on_with() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    folder.networks("fewer.jsonl", 2);
    let mut reversed = networks(3);
    reversed.reverse();
    folder.write("reversed.jsonl", &reversed.join("\n"));
    for format in FORMATS {
        let name = format!("scores.{format}");
        folder.run(&format!("cells.jsonl -o {name}"), 0);
        let before = folder.read(&name);
        let first = if format == "csv" { 2 } else { 1 };
        for (arguments, line, message) in [
            ("cells.jsonl --seed 7", first, "seed was 0, but is 7 in this run"),
            ("cells.jsonl --stem 5", first, "stem was 4, but is 5 in this run"),
            ("cells.jsonl --batch-size 3", first, "batch_size was 4, but is 3 in this run"),
            ("cells.jsonl --convention original", first, "convention was relu, but is original in this run"),
            ("cells.jsonl --precision f64", first, "precision was f32, but is f64 in this run"),
            ("reversed.jsonl --seed 0", first, "but reversed.jsonl:1 has"),
            ("fewer.jsonl --seed 0", first + 2, "is one row more than the 2 networks of fewer.jsonl"),
        ] {
            let stderr = folder.run(&format!("{arguments} -o {name} --resume"), 2);
            assert!(
                stderr.starts_with(&format!("error: {name}:{line}: ")) && stderr.contains(message),
                "{stderr}"
            );
            assert_eq!(folder.read(&name), before);
        }
    }
}

#[test]
fn files_that_are_no_rows_are_not_touched() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 2);
    folder.run("cells.jsonl -o good.csv", 0);
    folder.run("cells.jsonl -o good.jsonl", 0);
    let (csv, jsonl) = (folder.read("good.csv"), folder.read("good.jsonl"));
    let row = csv_fields(csv.lines().nth(1).unwrap());
    let (score, parameters) = (row[5].clone(), format!(",{},", row[7]));
    let (wide, columns) = (COLUMNS.len() + 1, COLUMNS.len());
    let wide = format!("f.csv:2: has {wide} columns, and the header {columns}");
    for (name, text, message) in [
        ("a.csv", "a note without a line end".to_owned(), "a.csv:1: is not what this command writes"),
        ("b.csv", "id,score\nx,1\n".to_owned(), "b.csv:1: is not the header"),
        ("c.csv", csv.replace('\n', "\r\n"), "c.csv:1: is not the header"),
        ("d.csv", csv.replace("line,space", "line,place"), "`place` stands where `space` must"),
        ("e.csv", csv.replacen("\n0,", "\n5,", 1), "e.csv:2: index is 5, not 0"),
        ("f.csv", csv.replacen("\n0,1,", "\n0,1,,", 1), wide.as_str()),
        ("g.jsonl", jsonl.replacen(",\"line\":1", "", 1), "g.jsonl:1: has no `line`"),
        ("h.jsonl", jsonl.replacen("\"line\"", "\"lime\"", 1), "h.jsonl:1: has a key `lime`"),
        ("i.jsonl", "text\n".to_owned(), "i.jsonl:1: is not a row in JSON"),
        ("k.csv", csv.replacen(&score, "NaN", 1), "k.csv:2: score is `NaN`, not a number"),
        ("l.csv", csv.replacen(&score, "inf", 1), "l.csv:2: score is `inf`, not a number"),
        ("m.csv", csv.replacen(&parameters, ",-5,", 1), "m.csv:2: parameters is `-5`, not a whole number"),
        ("n.csv", csv.replacen(&parameters, ",,", 1), "n.csv:2: has a score, but no parameters"),
        ("o.csv", csv.replacen(&row[4], "0100/", 1), "o.csv:2: arch was 0100/, but is "),
        ("p.csv", csv.replacen(&row[4], "none", 1), "p.csv:2: its arch: "),
        ("q.csv", csv.replacen(&score, "", 1), "q.csv:2: has neither a score nor an error"),
        (
            "r.jsonl",
            jsonl.replacen("\"noise\":0", "\"noise\":-1", 1),
            "r.jsonl:1: noise is `-1`, not a number of 0",
        ),
        ("j.jsonl", jsonl.replacen("\"score\":", "\"score\":\"good\",\"x\":", 1), "j.jsonl:1: has a key `x`"),
    ] {
        folder.write(name, &text);
        let stderr = folder.run(&format!("cells.jsonl -o {name} --resume"), 2);
        assert!(stderr.contains(message), "{stderr}");
        assert_eq!(folder.read(name), text);
    }
}

#[test]
fn a_file_beside_the_output_is_left_alone() {
    let folder = Folder::new();
    folder.write("cells.jsonl", &format!("{{}}\n{}\n", networks(1)[0]));
    folder.run("cells.jsonl -o scores.csv", 1);
    folder.write("scores.csv.part", "precious");
    folder.write("scores.csv.part2", "precious, too");
    folder.write("cells.jsonl", &format!("{0}\n{0}\n", networks(1)[0]));
    folder.run("cells.jsonl -o scores.csv --resume --retry-failed", 0);
    assert_eq!(folder.read("scores.csv.part"), "precious");
    assert_eq!(folder.read("scores.csv.part2"), "precious, too");
    assert!(!folder.path("scores.csv.part3").exists());
}

#[test]
fn a_last_line_that_is_no_cut_row_is_not_dropped() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    folder.networks("fewer.jsonl", 2);
    for format in FORMATS {
        folder.run(&format!("cells.jsonl -o whole.{format}"), 0);
        let whole = folder.read(&format!("whole.{format}"));
        let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
        let [rows, last] = [&whole[..ends[ends.len() - 2]], &whole[ends[ends.len() - 2]..]];
        let other = last.replacen("nasbench", "nosbench", 1);
        for (input, tail, message) in [
            ("cells", "notes of my own", "is "),
            ("cells", "{\"index\":2,\"precious\":\"a document of one line\"}", "is "),
            ("cells", other.trim_end(), "is no row of cells.jsonl:3 that was cut"),
            ("fewer", &last[..9], "is behind the rows of the 2 networks of fewer.jsonl"),
        ] {
            let name = format!("own.{format}");
            let text = format!("{rows}{tail}");
            folder.write(&name, &text);
            for retry in ["", "--retry-failed"] {
                let stderr = folder.run(&format!("{input}.jsonl -o {name} --resume {retry}"), 2);
                assert!(stderr.contains(message), "{stderr}");
                assert_eq!(folder.read(&name), text);
            }
        }
    }
    // Of one line, without a line end.
    let text = r#"{"index":0,"precious":"a document of one line without a line end"}"#;
    folder.write("own.jsonl", text);
    folder.run("cells.jsonl -o own.jsonl --resume", 2);
    assert_eq!(folder.read("own.jsonl"), text);
}

#[test]
fn zeros_that_a_loss_of_power_has_left_are_gone_past() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    for format in FORMATS {
        let name = format!("scores.{format}");
        folder.run(&format!("cells.jsonl -o {name}"), 0);
        let whole = folder.read(&name);
        for length in [0, 5, whole.find('\n').unwrap() + 1, whole.len() - 7, whole.len()] {
            let mut bytes = whole.as_bytes()[..length].to_vec();
            bytes.resize(length + 300, 0);
            fs::write(folder.path(&name), bytes).unwrap();
            folder.run(&format!("cells.jsonl -o {name} --resume"), 0);
            assert_eq!(
                without_seconds(&folder.read(&name)),
                without_seconds(&whole),
                "{length} bytes, then zeros"
            );
        }
    }
}

#[test]
fn rows_that_were_scored_again_are_kept_where_the_run_is_killed() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 400);
    for format in FORMATS {
        let (name, waiting) = (format!("scores.{format}"), format!("scores.{format}.retried"));
        folder.run(&format!("cells.jsonl -o {name} --memory-limit 1"), 1);
        let failed = folder.read(&name);
        let mut child = folder.start(&format!("cells.jsonl -o {name} --resume --retry-failed"));
        wait_until("rows come", || length(&folder.path(&waiting)) > 10_000);
        child.kill().unwrap();
        child.wait().unwrap();
        let again = folder.read(&waiting);
        // Into another run's rows nothing is taken.
        let other = format!("other.{format}");
        folder.run(&format!("cells.jsonl --seed 1 -o {other} --memory-limit 1"), 1);
        fs::copy(folder.path(&waiting), folder.path(&format!("{other}.retried"))).unwrap();
        let stderr = folder.run(&format!("cells.jsonl --seed 1 -o {other} --resume"), 2);
        let message =
            format!("{other}.retried:{}: seed is 0, but 1 in {other}", 1 + usize::from(format == "csv"));
        assert!(stderr.contains(&message), "{stderr}");
        assert!(failed == folder.read(&name), "the old one is not touched");
        folder.run(&format!("cells.jsonl -o {name} --resume"), 1);
        let after = folder.read(&name);
        assert!(!folder.path(&waiting).exists());
        let first = usize::from(format == "csv");
        let kept = whole_lines(&again).lines().skip(first).collect::<Vec<_>>();
        assert!(kept.len() > 5);
        assert_eq!(after.lines().skip(first).take(kept.len()).collect::<Vec<_>>(), kept);
        folder.run(&format!("cells.jsonl -o {name} --resume --retry-failed"), 0);
        folder.run(&format!("cells.jsonl -o whole.{format}"), 0);
        assert_eq!(
            without_seconds(&folder.read(&name)),
            without_seconds(&folder.read(&format!("whole.{format}")))
        );
    }
}

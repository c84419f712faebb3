//! One pass gives more than one score, and every command takes the one that is asked for.
#![cfg(unix)]

mod common;

use std::collections::HashMap;

use common::folder::{Folder, csv_fields, without_seconds};
use naswot::analysis::{kendall_tau, log_rank_sums, stratified_tau};
use serde_json::Value;

/// The rows of a file, by the names of their columns.
fn rows(csv: &str) -> Vec<HashMap<String, String>> {
    let header = csv_fields(csv.lines().next().unwrap());
    csv.lines().skip(1).map(|line| header.iter().cloned().zip(csv_fields(line)).collect()).collect()
}

/// A command that comes to its end; what it prints.
#[track_caller]
fn done(folder: &Folder, arguments: &str) -> String {
    let output = folder.command(arguments).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A command that cannot start; what it says.
#[track_caller]
fn refused(folder: &Folder, arguments: &str) -> String {
    let output = folder.command(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn asking_for_more_scores_changes_no_other_column() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 6);
    folder.run("cells.jsonl -o one.csv", 0);
    folder.run("cells.jsonl -o two.csv --scores swap,nwot --swap-images 8", 0);
    let [one, two] = ["one.csv", "two.csv"].map(|name| rows(&folder.read(name)));
    assert_eq!(one.len(), 6);
    for (one, two) in one.iter().zip(&two) {
        for (column, value) in one.iter().filter(|(column, _)| *column != "seconds") {
            let expected = match column.as_str() {
                // All of the four images.
                "swap_images" => ("", "4"),
                "scores" => ("nwot", "nwot,swap"),
                "swap" => ("", two["swap"].as_str()),
                _ => (value.as_str(), value.as_str()),
            };
            assert_eq!((value.as_str(), two[column].as_str()), expected, "{column}");
        }
        let patterns: f64 = two["swap"].parse().unwrap();
        assert!((1.0..=16.0).contains(&patterns) && patterns.fract() == 0.0, "{patterns}");
    }
}

#[test]
fn a_run_goes_on_with_the_scores_that_it_began_with() {
    let folder = Folder::new();
    folder.networks("cells.jsonl", 3);
    // A cell that comes again has all scores of its first place.
    let cells = folder.read("cells.jsonl");
    folder.write("twice.jsonl", &format!("{cells}{cells}"));
    folder.run("twice.jsonl -o whole.csv --scores swap", 0);
    let whole = folder.read("whole.csv");
    let end = whole.match_indices('\n').nth(4).unwrap().0 + 1;
    folder.write("part.csv", &whole[..end]);
    for (options, message) in [
        ("", "part.csv:2: scores was nwot,swap, but is nwot in this run"),
        ("--scores swap --batch-size 3", "part.csv:2: batch_size was 4, but is 3 in this run"),
    ] {
        let stderr = folder.run(&format!("twice.jsonl -o part.csv --resume {options}"), 2);
        assert_eq!(stderr, format!("error: {message}\n"));
    }
    folder.run("twice.jsonl -o part.csv --resume --scores swap", 0);
    let part = folder.read("part.csv");
    assert_eq!(without_seconds(&part), without_seconds(&whole));
    let rows = rows(&part);
    for (first, again) in rows[..3].iter().zip(&rows[3..]) {
        assert_eq!((&first["swap"], &first["score"]), (&again["swap"], &again["score"]));
        assert!(!again["swap"].is_empty());
    }
    let stderr = folder.run("cells.jsonl --scores synflow", 2);
    assert!(stderr.contains("scores: `synflow` is none of nwot, swap"), "{stderr}");
    assert!(folder.run("cells.jsonl --swap-images 7", 2).contains("7 is not in 8..=24"));
}

#[test]
fn a_ranking_is_a_score_a_column_or_a_sum_of_log_ranks() {
    let folder = Folder::new();
    let mut text = "id,score,swap,convs,depth,note\n".to_owned();
    let mut table = "id,test_accuracy\n".to_owned();
    let columns: [Vec<f64>; 5] = std::array::from_fn(|column| {
        let value = |i: usize| match column {
            0 if i == 5 => f64::NEG_INFINITY,
            0 => (300 + i * 7 % 23) as f64,
            1 => (1000 + i * 5 % 29) as f64,
            2 => (10 + i % 4) as f64,
            3 => (i * 11 % 31) as f64,
            _ => 90.0 + (i * 13 % 37) as f64 / 10.0,
        };
        (0..30).map(value).collect()
    });
    let [score, swap, convs, depth, accuracy] = &columns;
    for i in 0..30 {
        text += &format!("n{i},{},{},{},{},words\n", score[i], swap[i], convs[i], depth[i]);
        table += &format!("n{i},{}\n", accuracy[i]);
    }
    folder.write("scores.csv", &text);
    folder.write("table.csv", &table);
    let correlate = |name: &str| -> Value {
        let command =
            format!("correlate scores.csv --accuracy table.csv --bootstrap 0 --json --score {name}");
        serde_json::from_str(&done(&folder, &command)).unwrap()
    };
    let strata: Vec<u64> = convs.iter().map(|count| *count as u64).collect();
    let equals = |found: &Value, expected: Option<f64>| found.as_f64() == expected;
    for (name, list) in
        [("nwot", score), ("score", score), ("swap", swap), ("convs", convs), ("depth", depth)]
    {
        let report = correlate(name);
        assert!(equals(&report["kendall_tau"], kendall_tau(list, accuracy).unwrap()), "{name}: {report}");
        let within = stratified_tau(list, accuracy, &strata).unwrap();
        assert!(equals(&report["kendall_tau_equal_convs"], within), "{name}: {report}");
        // All that there are stand beside it, whatever was asked for.
        assert!(equals(&report["scores"]["nwot"]["kendall_tau"], kendall_tau(score, accuracy).unwrap()));
        assert!(equals(&report["scores"]["swap"]["kendall_tau"], kendall_tau(swap, accuracy).unwrap()));
        assert!(equals(&report["convs"]["kendall_tau"], kendall_tau(convs, accuracy).unwrap()));
        assert!(report["parameters"].is_null());
    }
    let lists = [swap, score].map(|list| list.iter().copied().map(Some).collect::<Vec<_>>());
    let sums = log_rank_sums(&[&lists[0], &lists[1]]).unwrap();
    let sums: Vec<f64> = sums.into_iter().flatten().collect();
    let report = correlate("swap+nwot");
    assert_eq!((&report["score"], report["networks"].as_u64()), (&Value::from("swap+nwot"), Some(30)));
    assert!(equals(&report["kendall_tau"], kendall_tau(&sums, accuracy).unwrap()), "{report}");
    let svg = |name: &str| {
        done(
            &folder,
            &format!("plot scatter scores.csv --accuracy table.csv --score {name} -o plot.svg --force"),
        );
        folder.read("plot.svg")
    };
    assert!(svg("swap+nwot").contains("swap+nwot, sum of log ranks") && svg("depth").contains("depth"));
    for (name, message) in [
        ("note", "error: scores.csv:2: note is `words`, not a number"),
        ("meco", "error: scores.csv: of its columns (id, score, swap, convs, depth, note) none is `meco`"),
        ("swap+", "the name of a score is missing"),
    ] {
        let said = refused(&folder, &format!("correlate scores.csv --accuracy table.csv --score {name}"));
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn searches_and_sweeps_go_by_the_score_that_is_asked_for() {
    let folder = Folder::new();
    let options = "--data npy:images.npy --stem 4 --cells 1";
    let search = |more: &str| {
        done(&folder, &format!("search --space nasbench201 --samples 30 --best 30 {options} {more}"))
    };
    let found: Vec<Value> =
        search("--score convs").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let convs: Vec<f64> = found.iter().map(|line| line["convs"].as_f64().unwrap()).collect();
    assert!(convs.is_sorted_by(|a, b| a >= b) && convs[0] > convs[convs.len() - 1], "{convs:?}");
    assert!(search("--score swap").contains("\"swap\":"));
    let said = refused(&folder, "search --space nasbench201 --score device");
    assert!(
        said.contains("is no score and no column of numbers; known are nwot, swap, meco, expressivity, progressivity, parameters, macs, convs"),
        "{said}"
    );

    // A size needs no forward pass, which this limit forbids.
    assert_eq!(search("--score convs --memory-limit 1"), search("--score convs"));
    let said =
        refused(&folder, &format!("search --space nasbench201 --samples 30 {options} --memory-limit 1"));
    assert!(said.contains("memory"), "{said}");

    folder.networks("cells.jsonl", 8);
    let sweep = |more: &str| -> Value {
        serde_json::from_str(&done(&folder, &format!("sweep cells.jsonl {options} --seed 0,1 --json {more}")))
            .unwrap()
    };
    // Sizes are the same whatever the weights.
    let report = sweep("--score convs");
    assert_eq!((&report["score"], &report["kendall_tau"][0][1]), (&Value::from("convs"), &Value::from(1.0)));
    let report = sweep("--score swap");
    assert!(report["settings"][0]["mean_score"].as_f64().is_some_and(|mean| mean <= 16.0), "{report}");
}

//! `naswot plot`: every kind of picture, and errors that say what is wrong.
#![cfg(unix)]

mod common;

use std::fs;
use std::process::Output;

use common::folder::Folder;
use naswot::Agreement;

const ARCH: &str = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|";

/// `naswot plot` to its end: what it said on standard error.
#[track_caller]
fn plot(folder: &Folder, arguments: &[&str], code: i32) -> String {
    let Output { status, stderr, stdout } = folder.command("plot").args(arguments).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(stdout.is_empty() && !stderr.contains("panicked"), "{stderr}");
    stderr
}

/// A file of scores of 20 networks, one of them -inf and one failed.
fn scores(folder: &Folder) {
    let mut text = "index,space,id,arch,score,parameters,macs,error\n".to_owned();
    for i in 0..20 {
        let score = match i {
            4 => "-inf".to_owned(),
            9 => String::new(),
            _ => format!("{}", 300.0 + f64::from(i * 7 % 20)),
        };
        text +=
            &format!("{i},nasbench201,id{i},\"{ARCH}\",{score},{},{},\n", 1000 * (i + 1), 50_000 * (i + 1));
    }
    folder.write("scores.csv", &text);
    let rows = (0..20).map(|i| format!("id{i},{}\n", 90.0 + f64::from(i) / 10.0));
    folder.write("table.csv", &("id,test_accuracy\n".to_owned() + &rows.collect::<String>()));
}

#[test]
fn every_kind_is_drawn_as_svg_and_png() {
    let folder = Folder::new();
    scores(&folder);
    let kernel = Agreement::new(3, vec![3, 2, 2, 2, 3, 1, 2, 1, 3]).unwrap();
    kernel.write_npy(fs::File::create(folder.path("k.npy")).unwrap()).unwrap();
    folder.write(
        "sweep.json",
        r#"{"networks":2,"settings":[{"seed":0,"noise":0.0,"infinite":0,"correlation":null},{"seed":1,"noise":0.0,"infinite":9,"correlation":{"kendall_tau":0.5}}],"kendall_tau":[[1.0,0.5],[0.5,1.0]]}"#,
    );
    folder.write("trace.csv", "id,score,epoch,epoch_from\na,3,0,name\na,4,1,name\n");
    let kinds: [&[&str]; 9] = [
        &["scatter", "scores.csv", "--accuracy", "table.csv"],
        &["scatter", "scores.csv", "--against", "macs"],
        &["histogram", "scores.csv"],
        &["heat-map", "k.npy", "--low", "0.3"],
        &["cell", ARCH],
        &["cell", "scores.csv", "--row", "4", "--direction", "down"],
        &["matrix", "sweep.json"],
        &["trace", "trace.csv"],
        &["scatter", "scores.csv", "--accuracy", "table.csv", "--x-from", "90.5", "--x-to", "91"],
    ];
    for (i, kind) in kinds.iter().enumerate() {
        for theme in ["light", "dark"] {
            let name = format!("{i}-{theme}");
            plot(&folder, &[kind, &["-o", &format!("{name}.svg"), "--theme", theme][..]].concat(), 0);
            assert!(folder.read(&format!("{name}.svg")).trim_end().ends_with("</svg>"));
            #[cfg(feature = "png")]
            {
                plot(
                    &folder,
                    &[kind, &["-o", &format!("{name}.png"), "--theme", theme, "--scale", "1"][..]].concat(),
                    0,
                );
                assert!(fs::read(folder.path(&format!("{name}.png"))).unwrap().starts_with(b"\x89PNG"));
                // What is no SVG has no pixels.
                naswot::analysis::drawing::png(&folder.read(&format!("{name}.svg")), 1.0).unwrap();
            }
            #[cfg(feature = "pdf")]
            {
                plot(&folder, &[kind, &["-o", &format!("{name}.PDF"), "--theme", theme][..]].concat(), 0);
                assert!(fs::read(folder.path(&format!("{name}.PDF"))).unwrap().starts_with(b"%PDF-"));
            }
        }
    }
    let scatter = folder.read("0-light.svg");
    assert!(scatter.contains("19 networks") && scatter.contains("test_accuracy (%)"), "{scatter}");
    let limited = folder.read("8-light.svg");
    assert!(limited.contains("Not drawn: 4 networks below 90.5, 9 networks above 91"), "{limited}");
    // Settings are named by what differs, and by nothing that came out.
    let matrix = folder.read("6-light.svg");
    assert!(
        matrix.contains(">seed 1<")
            && ["noise", "infinite", "correlation"].iter().all(|key| !matrix.contains(key)),
        "{matrix}"
    );
    // Nothing is left beside the pictures.
    let parts = fs::read_dir(folder.path(".")).unwrap();
    assert!(parts.into_iter().all(|entry| !entry.unwrap().path().to_string_lossy().contains(".part")));
}

#[test]
fn what_cannot_be_drawn_is_said_with_its_file() {
    let folder = Folder::new();
    scores(&folder);
    folder.write("empty.csv", "id,score\n");
    folder.write("infinite.csv", "id,score\na,-inf\nb,-inf\n");
    folder.write("sweep.json", r#"{"settings":[{"seed":0}],"kendall_tau":[[1.0,0.5]]}"#);
    // Settings and what differs between them, whose product would be gigabytes of names.
    let keys: Vec<String> = (0..50_000).map(|key| format!("\"k{key}\":0")).collect();
    let settings = format!("[{{{}}}{}]", keys.join(","), ",{}".repeat(50_000));
    folder.write("many.json", &format!("{{\"settings\":{settings},\"kendall_tau\":[]}}"));
    folder.write("lines.jsonl", "{\"space\":\"nasbench101\"}\n");
    let refused: [(&[&str], &str); 17] = [
        (
            &["histogram", "scores.csv", "--x-from", "500"],
            "scores.csv: there is nothing to draw: nothing lies at 500",
        ),
        (&["scatter", "scores.csv", "--x-from", "-1"], "no logarithmic axis begins or ends at -1"),
        (&["scatter", "scores.csv", "--accuracy", "nil.csv"], "nil.csv: No such file"),
        (&["scatter", "empty.csv"], "empty.csv: no row has both nwot and parameters"),
        (&["histogram", "infinite.csv"], "infinite.csv: there is nothing to draw: no score is finite"),
        (&["histogram", "sweep.json"], "sweep.json: of its columns (kendall_tau, settings) none is `score`"),
        (&["heat-map", "scores.csv"], "scores.csv: is not a NumPy file"),
        (&["heat-map", "images.npy"], "images.npy: holds numbers of type"),
        (&["cell", "|none~0|"], "describes 1 nodes, not 3"),
        (&["cell", "nil.jsonl"], "nil.jsonl: No such file"),
        (&["cell", "scores.csv"], "scores.csv: holds 20 architectures; --row says which is meant"),
        (&["cell", "scores.csv", "--row", "20"], "scores.csv: has no row 20, of 20"),
        (&["cell", "lines.jsonl"], "lines.jsonl:1: nasbench101: has no key `adjacency`"),
        (&["matrix", "scores.csv"], "scores.csv: is not what `naswot sweep --json` prints"),
        (&["matrix", "many.json"], "many.json: a matrix of 50001 settings cannot be drawn"),
        (
            &["matrix", "sweep.json"],
            "sweep.json: row 0 of the matrix has 2 entries, and there are 1 settings",
        ),
        (&["trace", "scores.csv"], "scores.csv: has rows without an `epoch`"),
    ];
    for (arguments, message) in refused {
        let said = plot(&folder, &[arguments, &["-o", "out.svg"]].concat(), 2);
        assert!(said.contains(message), "{arguments:?}: {said}");
        assert!(!folder.path("out.svg").exists() && !folder.path("out.svg.part").exists());
    }
    assert!(plot(&folder, &["cell", ARCH, "-o", "out.eps"], 2).contains("must end in .svg, .png or .pdf"));
    folder.write("there.svg", "mine");
    let said = plot(&folder, &["cell", ARCH, "-o", "there.svg"], 2);
    assert!(said.contains("there.svg: exists already; --force replaces it"), "{said}");
    assert_eq!(folder.read("there.svg"), "mine");
    plot(&folder, &["cell", ARCH, "-o", "there.svg", "--force"], 0);
}

/// Rows of 30 networks with their kernels, and a table of accuracies by which number i is number 7 i modulo 30.
fn kernels(folder: &Folder) {
    folder.networks("cells.jsonl", 30);
    folder.run("cells.jsonl -o rows.csv --kernels k", 0);
    let rows = folder.read("rows.csv");
    let ids = rows.lines().skip(1).map(|line| line.split(',').nth(3).unwrap());
    let ids = ids.map(|id| if id.starts_with('"') { id.trim_matches('"') } else { id });
    let table = ids.enumerate().map(|(i, id)| format!("{id},0.{}\n", 10 + i * 7 % 30));
    folder.write("accuracy.csv", &("id,test_acc\n".to_owned() + &table.collect::<String>()));
}

const HEAT_MAPS: [&str; 6] = ["heat-maps", "rows.csv", "--kernels", "k", "--accuracy", "accuracy.csv"];

#[test]
fn heat_maps_are_those_at_even_ranks_of_accuracy() {
    let folder = Folder::new();
    kernels(&folder);
    let captions = |grid: &str| {
        let stderr =
            plot(&folder, &[&HEAT_MAPS[..], &["--grid", grid, "-o", "maps.svg", "--force"]].concat(), 0);
        assert_eq!(stderr, "");
        let svg = folder.read("maps.svg");
        assert!(svg.contains("of 30 networks, at even steps of their rank by test_acc."), "{svg}");
        let captions = svg.lines().filter(|line| line.contains(" %<"));
        let captions = captions.map(|line| line.split(['>', '<']).nth(2).unwrap().to_owned());
        captions.collect::<Vec<String>>()
    };
    let all: Vec<String> = (10..40).map(|percent| format!("{percent}.00 %")).collect();
    assert_eq!(captions("5x6"), all);
    assert_eq!(captions("2x2"), ["10.00 %", "20.00 %", "29.00 %", "39.00 %"]);
    // The least accurate is the first row; the next is row 13, for 13 * 7 = 3 * 30 + 1.
    let scores: Vec<f64> = folder
        .read("rows.csv")
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(5).unwrap().parse().unwrap())
        .collect();
    captions("5x6");
    let svg = folder.read("maps.svg");
    let places = [scores[0], scores[13]].map(|score| svg.find(&format!(">{score:.1}<")).unwrap());
    assert!(places[0] < places[1]);
}

#[test]
fn heat_maps_say_what_is_missing() {
    let folder = Folder::new();
    kernels(&folder);
    let refused = |arguments: &[&str], message: &str| {
        let said = plot(&folder, &[&HEAT_MAPS[..], arguments, &["-o", "out.svg"]].concat(), 2);
        assert!(said.contains(message), "{said}");
        assert!(!folder.path("out.svg").exists());
    };
    refused(
        &["--grid", "4x8"],
        "rows.csv: 30 networks have a score and an accuracy, and --grid 4x8 takes 32",
    );
    refused(&["--grid", "3"], "is not of the form ROWSxCOLUMNS, such as 3x8");
    refused(&["--low", "0.9", "--high", "0.5"], "--low, 0.9, must be below --high, 0.5");
    // Another network's kernel.
    fs::copy(folder.path("k/1.npy"), folder.path("k/0.npy")).unwrap();
    refused(&[], "k/0.npy: ");
    refused(&[], "at index 0 of rows.csv: is it of another run?");
    for index in [0, 13] {
        fs::remove_file(folder.path(&format!("k/{index}.npy"))).unwrap();
    }
    let message = "k: lacks the kernels of 2 of the 30 networks of the picture, such as 0.npy; \
                   `naswot score FILE -o rows.csv --kernels k --force` writes them with the scores";
    refused(&["--grid", "5x6"], message);
    // A table of scores that has no kernels.
    let rows = folder.read("rows.csv");
    let rest = rows.lines().map(|line| line.split_once(',').unwrap().1.to_owned() + "\n");
    folder.write("rows.csv", &rest.collect::<String>());
    refused(&[], "has no `index` of some networks, by which k names kernels");
}

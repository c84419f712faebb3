//! `naswot trace`: a row for every checkpoint, the score that its weights have, and an epoch from where it is said.
#![cfg(unix)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::process::Output;

use common::folder::{Folder, csv_fields};
use naswot::{Batch, Checkpoint, Network, Op, Scorer, SkeletonSettings, Space, Weights};
use safetensors::tensor::{Dtype, TensorView, serialize};

const ARCH: &str = "0110001100010000/01";

fn network(arch: &str) -> Network {
    Space::NasBench101
        .parse_arch(arch)
        .unwrap()
        .network(&SkeletonSettings { stem: Some(4), cells: Some(1) })
        .unwrap()
}

/// Writes weights that have the network's names and shapes, made from a seed.
fn checkpoint(folder: &Folder, name: &str, network: &Network, seed: u32, epoch: Option<&str>) {
    let mut state = seed.wrapping_mul(747_796_405) | 1;
    let mut random = move |n: usize, centre: f32| -> Vec<u8> {
        let values = (0..n).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            centre + f32::from((state >> 16) as u16) / 65536.0 - 0.5
        });
        values.flat_map(f32::to_le_bytes).collect()
    };
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for node in network.graph().nodes() {
        match node.op() {
            Op::Conv(conv) => {
                let inputs = network.graph().nodes()[node.inputs()[0].index()].channels();
                let shape = vec![conv.out_channels, inputs, conv.kernel[0], conv.kernel[1]];
                let values = random(shape.iter().product(), 0.0);
                tensors.push((node.name().to_owned(), shape, values));
            }
            Op::BatchNorm { .. } => {
                for (end, centre) in [("weight", 1.0), ("bias", 0.0)] {
                    let values = random(node.channels(), centre);
                    tensors.push((format!("{}.{end}", node.name()), vec![node.channels()], values));
                }
            }
            _ => {}
        }
    }
    let views = tensors
        .iter()
        .map(|(name, shape, values)| (name, TensorView::new(Dtype::F32, shape.clone(), values).unwrap()));
    let metadata = epoch.map(|epoch| HashMap::from([("epoch".to_owned(), epoch.to_owned())]));
    fs::write(folder.path(name), serialize(views, metadata).unwrap()).unwrap();
}

/// `naswot trace` to its end: standard output and error.
#[track_caller]
fn trace(folder: &Folder, arguments: &str, code: i32) -> (String, String) {
    let arguments = format!("trace {arguments} --data npy:images.npy --stem 4 --cells 1");
    let Output { status, stdout, stderr } = folder.command(&arguments).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(status.code(), Some(code), "{arguments}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (stdout, stderr)
}

/// The columns named, of every row.
fn columns(csv: &str, names: &[&str]) -> Vec<Vec<String>> {
    let header = csv_fields(csv.lines().next().unwrap());
    let place = |name: &&str| header.iter().position(|column| column == name).unwrap();
    let places: Vec<usize> = names.iter().map(place).collect();
    let row = |line| {
        let fields = csv_fields(line);
        places.iter().map(|&place| fields[place].clone()).collect()
    };
    csv.lines().skip(1).map(row).collect()
}

#[test]
fn each_row_has_the_score_of_its_weights() {
    let folder = Folder::new();
    let network = network(ARCH);
    for seed in 1..4 {
        checkpoint(&folder, &format!("epoch{seed}.safetensors"), &network, seed, None);
    }
    let files = "epoch2.safetensors epoch1.safetensors epoch3.safetensors";
    let (csv, _) = trace(&folder, &format!("{files} --arch {ARCH} --kernels k"), 0);
    let scorer = Scorer::builder(Batch::npy(folder.path("images.npy")).unwrap()).build().unwrap();
    let rows = columns(
        &csv,
        &["index", "line", "arch", "score", "epoch", "epoch_from", "checkpoint", "weights_sha256"],
    );
    assert_eq!(rows.len(), 3);
    for (i, (row, epoch)) in rows.iter().zip([2, 1, 3]).enumerate() {
        let name = format!("epoch{epoch}.safetensors");
        let weights = Checkpoint::load(folder.path(&name)).unwrap();
        let sha256 = weights.sha256().to_owned();
        let score = scorer.with_weights(Weights::Checkpoint(weights)).unwrap().score(&network).unwrap();
        let (i, epoch, score) = (i.to_string(), epoch.to_string(), score.log_det.to_string());
        assert_eq!(row[..], [&i, "", ARCH, &score, &epoch, "name", &name, &sha256]);
        assert!(folder.path("k").join(format!("{i}.npy")).exists());
    }
    assert_ne!(rows[0][3], rows[1][3]);
    // The same as a row of `score`, but for its own columns.
    folder.write("cell.jsonl", &Space::NasBench101.parse_arch(ARCH).unwrap().to_json());
    folder.run("cell.jsonl -o score.csv --weights epoch2.safetensors", 0);
    let score = folder.read("score.csv");
    let shared: Vec<String> = csv_fields(score.lines().next().unwrap());
    let shared: Vec<&str> =
        shared.iter().map(String::as_str).filter(|name| !["seconds", "line"].contains(name)).collect();
    assert_eq!(columns(&csv, &shared)[0], columns(&score, &shared)[0]);
}

#[test]
fn epochs_are_those_of_the_metadata_else_of_the_names_else_the_order() {
    let folder = Folder::new();
    let network = network(ARCH);
    for (name, epoch) in [("epoch5", Some("0.5")), ("a7", Some("40")), ("b9", None), ("last", None)] {
        checkpoint(&folder, &format!("{name}.safetensors"), &network, 1, epoch);
    }
    let of = |names: &[&str]| {
        let files: Vec<String> = names.iter().map(|name| format!("{name}.safetensors")).collect();
        let (csv, _) = trace(&folder, &format!("{} --arch {ARCH}", files.join(" ")), 0);
        columns(&csv, &["epoch", "epoch_from"]).concat()
    };
    assert_eq!(of(&["epoch5", "a7"]), ["0.5", "metadata", "40", "metadata"]);
    assert_eq!(of(&["epoch5", "b9"]), ["5", "name", "9", "name"]);
    assert_eq!(of(&["b9", "last", "epoch5"]), ["0", "order", "1", "order", "2", "order"]);
}

#[test]
fn epochs_are_the_number_in_which_names_differ() {
    let folder = Folder::new();
    let network = network(ARCH);
    for name in ["checkpoint-500", "checkpoint-1000"] {
        fs::create_dir(folder.path(name)).unwrap();
        checkpoint(&folder, &format!("{name}/model.safetensors"), &network, 1, None);
    }
    for name in ["ep7-seed777", "ep8-seed777", "epoch8-b", "epoch9"] {
        checkpoint(&folder, &format!("{name}.safetensors"), &network, 1, None);
    }
    let of = |files: &str| {
        let (csv, stderr) = trace(&folder, &format!("{files} --arch {ARCH}"), 0);
        (columns(&csv, &["epoch", "epoch_from"]).concat().join(" "), stderr)
    };
    let quiet = |epochs: &str| (epochs.to_owned(), String::new());
    assert_eq!(of("ep7-seed777.safetensors ep8-seed777.safetensors"), quiet("7 name 8 name"));
    assert_eq!(
        of("checkpoint-500/model.safetensors checkpoint-1000/model.safetensors"),
        quiet("500 name 1000 name")
    );
    fs::copy(folder.path("epoch8-b.safetensors"), folder.path("epoch8-a.safetensors")).unwrap();
    let (epochs, stderr) = of("epoch8-a.safetensors epoch9.safetensors epoch8-b.safetensors");
    assert_eq!(epochs, "8 name 9 name 8 name");
    assert_eq!(stderr, "warning: epoch8-a.safetensors and epoch8-b.safetensors have one epoch, 8\n");
}

#[test]
fn a_prefix_of_all_names_is_dropped_and_said_once() {
    let folder = Folder::new();
    let network = network(ARCH);
    checkpoint(&folder, "1.safetensors", &network, 1, None);
    let bytes = fs::read(folder.path("1.safetensors")).unwrap();
    let plain = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let views = plain.iter().map(|(name, view)| (format!("module._orig_mod.{name}"), view));
    fs::write(folder.path("2.safetensors"), serialize(views, None).unwrap()).unwrap();
    fs::copy(folder.path("2.safetensors"), folder.path("3.safetensors")).unwrap();
    let files = "1.safetensors 2.safetensors 3.safetensors";
    let (csv, stderr) = trace(&folder, &format!("{files} --arch {ARCH}"), 0);
    let scores = columns(&csv, &["score"]).concat();
    assert!(scores[0] == scores[1] && scores[1] == scores[2], "{scores:?}");
    let said = "note: weights: every tensor's name begins with `module._orig_mod.`, which was dropped\n";
    assert_eq!(stderr, said);
    folder.write("cell.jsonl", &Space::NasBench101.parse_arch(ARCH).unwrap().to_json());
    assert_eq!(folder.run("cell.jsonl -o score.csv --weights 2.safetensors", 0), said);
    assert_eq!(columns(&folder.read("score.csv"), &["score"]).concat()[0], scores[0]);
}

#[test]
fn a_checkpoint_of_another_architecture_is_its_rows_error() {
    let folder = Folder::new();
    checkpoint(&folder, "1.safetensors", &network(ARCH), 1, None);
    checkpoint(&folder, "2.safetensors", &network("010001000/0"), 2, None);
    checkpoint(&folder, "3.safetensors", &network(ARCH), 3, None);
    let files = "1.safetensors 2.safetensors 3.safetensors";
    let (_, stderr) = trace(&folder, &format!("{files} --arch {ARCH} -o t.jsonl --plot t.svg"), 1);
    let message = "2.safetensors: weights: tensor `layers.1.";
    assert!(stderr.starts_with(message) && stderr.contains("2 scored"), "{stderr}");
    let rows: Vec<serde_json::Value> =
        folder.read("t.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(
        rows[1]["score"].is_null()
            && rows[1]["error"].as_str().unwrap().starts_with("weights: tensor `layers.1.")
    );
    assert!(rows[0]["score"].is_number() && rows[2]["score"].is_number());
    assert_eq!((&rows[1]["epoch"], &rows[1]["checkpoint"]), (&2.into(), &"2.safetensors".into()));
    let svg = folder.read("t.svg");
    assert!(svg.matches("<circle").count() == 2 && svg.contains("Not drawn: 1 failed"), "{svg}");
    // Drawn again from the rows it is the same picture.
    assert!(folder.command("plot trace t.jsonl -o again.svg").status().unwrap().success());
    assert_eq!(folder.read("again.svg"), svg);
    // None fits: there are rows, and no picture.
    let (_, stderr) = trace(&folder, "2.safetensors --arch 0100/ -o none.csv --plot none.svg", 1);
    assert!(stderr.contains("none.svg: not drawn"), "{stderr}");
    assert!(!folder.path("none.svg").exists() && folder.read("none.csv").lines().count() == 2);
}

#[test]
fn what_cannot_be_read_ends_the_run_before_it_starts() {
    let folder = Folder::new();
    checkpoint(&folder, "1.safetensors", &network(ARCH), 1, None);
    checkpoint(&folder, "odd.safetensors", &network(ARCH), 1, Some("three"));
    folder.write("text.safetensors", "no tensors");
    fs::write(folder.path("zip.pt"), b"PK\x03\x04 a pickle, as torch.save makes it").unwrap();
    folder.write("two.jsonl", &format!("{0}\n{0}\n", Space::NasBench101.parse_arch(ARCH).unwrap().to_json()));
    for (arguments, message) in [
        ("1.safetensors nil.safetensors --arch 0100/", "nil.safetensors: No such file or directory"),
        ("1.safetensors text.safetensors --arch 0100/", "text.safetensors: is not a safetensors file"),
        ("1.safetensors zip.pt --arch 0100/", "zip.pt: is a checkpoint of torch.save (a ZIP with a pickle)"),
        ("odd.safetensors --arch 0100/", "odd.safetensors: `epoch` of its metadata is `three`, not a number"),
        ("1.safetensors 1.safetensors --arch 0100/", "1.safetensors: is given twice"),
        ("1.safetensors --arch nil.jsonl", "nil.jsonl: No such file or directory"),
        ("1.safetensors --arch two.jsonl", "two.jsonl: holds 2 architectures; --row says which is meant"),
        ("1.safetensors --arch 0110/", "invalid value '0110/' for '--arch <ARCH|FILE>'"),
    ] {
        let (stdout, stderr) = trace(&folder, &format!("{arguments} -o t.csv --plot t.svg"), 2);
        assert!(stderr.contains(message) && stdout.is_empty(), "{arguments}: {stderr}");
        assert!(!folder.path("t.csv").exists() && !folder.path("t.svg").exists(), "{arguments}");
    }
    folder.write("t.csv", "mine");
    let (_, stderr) = trace(&folder, &format!("1.safetensors --arch {ARCH} -o t.csv --plot t.svg"), 2);
    assert!(stderr.contains("t.csv: exists already") && !folder.path("t.svg").exists(), "{stderr}");
    let (_, _) = trace(&folder, &format!("1.safetensors --arch {ARCH} -o t.csv --plot t.svg --force"), 0);
    assert!(folder.path("t.svg").exists() && !folder.path("t.svg.part").exists());
}

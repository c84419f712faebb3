//! Images are what their file says, in whatever type and order, and what was converted is said; what is unclear is an error.
#![cfg(unix)]

mod common;

use std::fs;
use std::process::Output;

use common::folder::{Folder, csv_fields};

/// A file of NumPy's.
fn npy(folder: &Folder, name: &str, descr: &str, fortran: bool, shape: &str, data: &[u8]) {
    let order = if fortran { "True" } else { "False" };
    let header =
        format!("{:<117}\n", format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"));
    let bytes = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), data].concat();
    fs::write(folder.path(name), bytes).unwrap();
}

/// `naswot score` of one network on images: standard output and error.
#[track_caller]
fn score(folder: &Folder, arguments: &str, code: i32) -> (String, String) {
    folder.networks("cell.jsonl", 1);
    let arguments = format!("score cell.jsonl --stem 4 --cells 1 {arguments}");
    let Output { status, stdout, stderr } = folder.command(&arguments).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(status.code(), Some(code), "{arguments}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (stdout, stderr)
}

/// The score and the digest of the images.
fn result(csv: &str) -> [String; 2] {
    let [header, row] = [0, 1].map(|line| csv_fields(csv.lines().nth(line).unwrap()));
    ["score", "batch_sha256"]
        .map(|name| row[header.iter().position(|column| column == name).unwrap()].clone())
}

/// Numbers that float16 has, without a pattern.
fn values(n: usize) -> Vec<f32> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 24) as u8) / 64.0 - 2.0
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn every_float_and_order_gives_one_score_and_says_what_was_converted() {
    let folder = Folder::new();
    let values = values(3 * 3 * 8 * 8);
    let singles: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let doubles: Vec<u8> = values.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
    let mut columns = Vec::new();
    for x in 0..8 {
        for y in 0..8 {
            for c in 0..3 {
                for n in 0..3 {
                    columns.extend(values[((n * 3 + c) * 8 + y) * 8 + x].to_le_bytes());
                }
            }
        }
    }
    let shape = "(3, 3, 8, 8)";
    npy(&folder, "plain.npy", "<f4", false, shape, &singles);
    npy(&folder, "double.npy", "<f8", false, shape, &doubles);
    npy(&folder, "fortran.npy", "<f4", true, shape, &columns);
    let (csv, stderr) = score(&folder, "--data npy:plain.npy", 0);
    assert_eq!(stderr, "");
    for (name, conversion) in
        [("double", "float64 converted to float32"), ("fortran", "Fortran's order converted to C's")]
    {
        let (converted, stderr) = score(&folder, &format!("--data npy:{name}.npy"), 0);
        assert_eq!(result(&converted), result(&csv), "{name}");
        assert_eq!(stderr, format!("note: npy:{name}.npy: {conversion}\n"));
        assert_eq!(score(&folder, &format!("--data npy:{name}.npy -q"), 0).1, "");
    }
    // Whichever command it is, once.
    let sweep = "sweep two.jsonl --data npy:double.npy --stem 4 --cells 1 --batch-size 2,3";
    folder.networks("two.jsonl", 2);
    let stderr = String::from_utf8(folder.command(sweep).output().unwrap().stderr).unwrap();
    assert_eq!(stderr, "note: npy:double.npy: float64 converted to float32\n");
}

#[test]
fn pixels_of_a_numpy_file_are_those_of_the_data_set() {
    let folder = Folder::new();
    let pixels: Vec<u8> = values(2 * 3072).iter().map(|value| ((value + 2.0) * 64.0) as u8).collect();
    npy(&folder, "pixels.npy", "|u1", false, "(2, 3, 32, 32)", &pixels);
    let records: Vec<u8> = pixels.chunks(3072).flat_map(|image| [&[5], image].concat()).collect();
    fs::write(folder.path("records.bin"), records).unwrap();
    let (records, _) = score(&folder, "--data cifar10:records.bin --batch-size 2", 0);
    let (pixels, stderr) = score(&folder, "--data npy:pixels.npy --normalize cifar10", 0);
    assert_eq!((result(&pixels), stderr.as_str()), (result(&records), ""));
    let (_, stderr) = score(&folder, "--data npy:pixels.npy", 2);
    assert!(
        stderr.starts_with("error: pixels.npy: holds pixels (type '|u1', shape 2 x 3 x 32 x 32)"),
        "{stderr}"
    );
}

#[test]
fn a_batch_that_says_nothing_is_warned_of_once() {
    let folder = Folder::new();
    let one = values(3 * 8 * 8);
    let other: Vec<f32> = one.iter().rev().copied().collect();
    let bytes: Vec<u8> =
        [&other[..], &one, &other, &one].concat().iter().flat_map(|x| x.to_le_bytes()).collect();
    npy(&folder, "twice.npy", "<f4", false, "(4, 3, 8, 8)", &bytes);
    let warning = "warning: images 0 and 2 of the batch (from 0) are equal: every score will be -inf\n";
    let (csv, stderr) = score(&folder, "--data npy:twice.npy", 0);
    assert_eq!((result(&csv)[0].as_str(), stderr.as_str()), ("-inf", warning));
    assert_eq!(score(&folder, "--data npy:twice.npy -q", 0).1, "");
    // Noise makes them differ.
    assert_eq!(score(&folder, "--data npy:twice.npy --noise 0.5", 0).1, "");
    let (_, stderr) = score(&folder, "--data npy:twice.npy -v", 0);
    assert!(stderr.contains("cell.jsonl:1: -inf: images 0 and 2 (from 0) have one code\n"), "{stderr}");
    let (csv, stderr) = score(&folder, "--data npy:twice.npy --batch-size 1", 0);
    let start = "warning: a batch of one image: every score will be ln N_A";
    assert!(stderr.starts_with(start) && stderr.lines().count() == 1, "{stderr}");
    let row = csv_fields(csv.lines().nth(1).unwrap());
    assert_eq!(row[5].parse::<f64>().unwrap(), row[6].parse::<f64>().unwrap().ln());
}

#[test]
fn sizes_that_no_space_halves_are_one_error_before_the_run() {
    let folder = Folder::new();
    for (name, height, width) in [("odd.npy", 30, 30), ("wide.npy", 32, 34), ("flat.npy", 12, 20)] {
        let bytes: Vec<u8> = values(2 * 3 * height * width).iter().flat_map(|x| x.to_le_bytes()).collect();
        npy(&folder, name, "<f4", false, &format!("(2, 3, {height}, {width})"), &bytes);
    }
    for (name, size) in [("odd.npy", "30 x 30"), ("wide.npy", "32 x 34")] {
        let (stdout, stderr) = score(&folder, &format!("--data npy:{name}"), 2);
        let start = format!(
            "error: npy:{name}: images are {size}; height and width have to be multiples of 4 (nasbench101) or \
             4 (nasbench201), for networks halve them."
        );
        assert!(stdout.is_empty() && stderr.starts_with(&start) && stderr.lines().count() == 1, "{stderr}");
    }
    score(&folder, "--data npy:flat.npy", 0);
}

/// A picture of the numbers above.
#[cfg(feature = "images")]
fn picture(folder: &Folder, name: &str, width: u32, height: u32) {
    let path = folder.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = values((3 * width * height) as usize).into_iter().map(|value| (32.0 * (value + 2.0)) as u8);
    image::RgbImage::from_vec(width, height, pixels.collect()).unwrap().save(path).unwrap();
}

#[test]
#[cfg(feature = "images")]
fn a_folder_of_images_is_what_torchvision_makes_of_it() {
    let folder = Folder::new();
    picture(&folder, "photos/b/2.png", 53, 97);
    picture(&folder, "photos/b/1.png", 40, 16);
    picture(&folder, "photos/a/3.png", 16, 16);
    let options = "--data images:photos --batch-size 3 --image-size 16";
    let (csv, stderr) = score(&folder, options, 0);
    assert_eq!(stderr, "");
    // SHA-256 of the float32 batch that Pillow 13.0, by the rules of torchvision's ImageFolder, Resize(16), CenterCrop(16),
    // ToTensor and Normalize, makes of these pixels.
    assert_eq!(result(&csv)[1], "053a23c6f2b6c57b17ac669f72d40246812da9881da763e6eb6a37387c09b36a");
    assert!(csv.contains(",images,"), "{csv}");
    assert_eq!(result(&score(&folder, &format!("{options} --normalize imagenet"), 0).0), result(&csv));
    let cifar = score(&folder, &format!("{options} --normalize cifar10"), 0).0;
    assert_eq!(result(&cifar)[1], "dee6790d64d5bd53023fe21a0246ad9d10377a557672301bc6c738364d23bb37");
    // Drawn as from other data: two of three, whichever come first.
    let [two, again] = [(); 2].map(|()| {
        result(&score(&folder, "--data images:photos --batch-size 2 --image-size 16 --data-seed 3", 0).0)
    });
    assert_eq!(two, again);
    assert_ne!(two[1], result(&csv)[1]);
}

#[test]
#[cfg(feature = "images")]
fn what_is_unclear_of_a_folder_of_images_is_an_error() {
    let folder = Folder::new();
    picture(&folder, "photos/1.png", 16, 16);
    picture(&folder, "photos/2.png", 20, 16);
    folder.write("photos/3.png", "no picture");
    fs::create_dir(folder.path("empty")).unwrap();
    folder.write("empty/notes.txt", "");
    npy(&folder, "plain.npy", "<f4", false, "(1, 3, 4, 4)", &[0; 192]);
    let sized = "--data images:photos --image-size 16";
    for (options, message) in [
        (
            "--data images:photos",
            "images:photos: how large? Give their height and width, such as --image-size 32",
        ),
        (
            "--data npy:plain.npy --image-size 4",
            "--image-size 4: is for images:DIR; the images of other data have their own size",
        ),
        (
            "--image-size 32",
            "--image-size 32: is for images:DIR; the images of other data have their own size",
        ),
        (&format!("{sized} --batch-size 4"), "photos: 4 images were asked for, and there are 3"),
        (&format!("{sized} --batch-size 3"), "photos/3.png: is no PNG or JPEG, whatever its name"),
        ("--data images:none --image-size 16", "none: No such file or directory (os error 2)"),
        ("--data images:empty --image-size 16", "empty: holds no PNG or JPEG files, nor do its sub-folders"),
        (
            "--data images:photos --batch-size 2 --image-size 30",
            "images:photos: images are 30 x 30; height and width have to be multiples of 4",
        ),
        ("--data images: --image-size 16", "invalid value 'images:' for '--data <DATA>': the path is empty"),
    ] {
        let (_, stderr) = score(&folder, options, 2);
        assert!(stderr.starts_with(&format!("error: {message}")), "{options}: {stderr}");
    }
    image::GrayImage::new(16, 16).save(folder.path("photos/2.png")).unwrap();
    let note = "note: images:photos: of 2 images converted to RGB of 8 bits: 1 of grey\n";
    assert_eq!(score(&folder, &format!("{sized} --batch-size 2"), 0).1, note);
}

//! Parquet files that are damaged, or made to be, are refused: without a panic, and in bounded memory.
#![cfg(all(unix, feature = "parquet"))]

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::folder::Folder;
use naswot_cli::columns::COLUMNS;
use naswot_cli::row_reader::RowReader;
use naswot_cli::table::{Columns, Table};
use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// Most memory that a file may take the process to, in KiB.
const MEMORY: u64 = 1 << 20;

/// Reads rows to their end, or to what is wrong with them.
fn read_rows(path: &Path) -> Result<usize, String> {
    let rows = RowReader::open(path, Columns::AtLeast).map_err(|failure| failure.message.unwrap())?;
    rows.map(|row| row.map(drop).map_err(|failure| failure.message.unwrap()))
        .collect::<Result<Vec<_>, _>>()
        .map(|rows| rows.len())
}

/// Reads all columns of a table to its end, or to what is wrong with it.
fn read_table(path: &Path) -> Result<usize, String> {
    let message = |failure: naswot_cli::exit::Failure| failure.message.unwrap();
    let mut table = Table::open(path).map_err(message)?;
    let columns = table.columns().to_vec();
    table.want(columns.iter().map(String::as_str)).map_err(message)?;
    let mut rows = 0;
    while table.next_record().map_err(message)?.is_some() {
        rows += 1;
    }
    Ok(rows)
}

/// The most memory that the process has had, in KiB.
fn peak() -> u64 {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Writes a column of texts.
fn write(path: &Path, texts: &[ByteArray], properties: WriterPropertiesBuilder) {
    let column = Type::primitive_type_builder("id", Physical::BYTE_ARRAY)
        .with_repetition(Repetition::REQUIRED)
        .with_converted_type(ConvertedType::UTF8);
    let schema = Type::group_type_builder("rows")
        .with_fields(vec![Arc::new(column.build().unwrap())])
        .build()
        .unwrap();
    let properties =
        properties.set_dictionary_page_size_limit(1 << 30).set_data_page_size_limit(1 << 30).build();
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), Arc::new(schema), Arc::new(properties))
            .unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(texts, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

/// Rows of scores, as the command converts them.
fn rows(folder: &Folder) -> Vec<u8> {
    folder.networks("cells.jsonl", 12);
    folder.run("cells.jsonl -o rows.csv", 0);
    assert!(folder.command("convert rows.csv -o rows.parquet").status().unwrap().success());
    assert_eq!(read_rows(&folder.path("rows.parquet")).unwrap(), 12);
    assert_eq!(read_table(&folder.path("rows.parquet")).unwrap(), 12);
    fs::read(folder.path("rows.parquet")).unwrap()
}

#[test]
fn damage_anywhere_is_an_error_or_other_values() {
    naswot_cli::panics::quiet();
    let folder = Folder::new();
    let good = rows(&folder);
    let path = folder.path("damaged.parquet");
    let name = path.display().to_string();
    let mut refused = 0;
    let mut check = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        let start = Instant::now();
        for read in [read_rows(&path), read_table(&path)] {
            if let Err(message) = read {
                assert!(message.contains(&name) && message.len() < name.len() + 9000, "{what}: {message}");
                refused += 1;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
    };
    for (at, byte) in good.iter().enumerate() {
        for value in [0xff, byte ^ 1] {
            let mut bytes = good.clone();
            bytes[at] = value;
            check(&bytes, &format!("byte {at} is {value}"));
        }
    }
    for end in (0..good.len()).step_by(11) {
        check(&good[..end], &format!("cut at {end}"));
    }
    // Numbers of many digits where short ones stand.
    for at in (0..good.len()).step_by(3) {
        let bytes = [&good[..at], b"\xff\xff\xff\xff\x0f", &good[(at + 5).min(good.len())..]].concat();
        check(&bytes, &format!("a large number at byte {at}"));
    }
    assert!(refused > good.len(), "{refused}");
    assert!(peak() < MEMORY, "{} KiB", peak());
}

#[test]
fn the_command_names_the_file_and_what_is_wrong() {
    let folder = Folder::new();
    let good = rows(&folder);
    // The length of the metadata, and a byte within.
    let mut length = good.clone();
    length[good.len() - 8..good.len() - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(folder.path("length.parquet"), length).unwrap();
    fs::write(folder.path("cut.parquet"), &good[..good.len() / 2]).unwrap();
    for file in ["length", "cut"] {
        for command in
            ["convert FILE -o out.csv", "report FILE -o out.html", "correlate FILE --accuracy FILE"]
        {
            let said = folder.command(&command.replace("FILE", &format!("{file}.parquet"))).output().unwrap();
            let stderr = String::from_utf8(said.stderr).unwrap();
            assert_eq!(said.status.code(), Some(2), "{stderr}");
            assert!(
                stderr.starts_with(&format!("error: {file}.parquet: ")) && stderr.lines().count() == 1,
                "{stderr}"
            );
        }
        assert!(!folder.path("out.csv").exists());
    }
}

#[test]
fn small_files_do_not_become_large_ones() {
    naswot_cli::panics::quiet();
    let folder = Folder::new();
    let path = folder.path("bomb.parquet");
    let properties = || WriterProperties::builder().set_compression(Compression::SNAPPY);
    let texts = |length: usize, rows: usize| vec![ByteArray::from("A".repeat(length).as_str()); rows];
    // One text of a dictionary in each of many rows.
    write(&path, &texts(100_000, 5_000), properties());
    assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
    let message = read_table(&path).unwrap_err();
    assert!(message.contains("row ") && message.contains("takes 256 MiB unpacked, and more"), "{message}");
    write(&path, &texts(1 << 21, 1), properties());
    let message = read_table(&path).unwrap_err();
    assert!(message.ends_with("a text of 2097152 bytes, over the limit of 1048576"), "{message}");
    for compression in [
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
        Compression::LZ4_RAW,
    ] {
        write(
            &path,
            &texts(1 << 20, 80),
            properties().set_compression(compression).set_dictionary_enabled(false),
        );
        let message = read_table(&path).unwrap_err();
        assert!(
            message.contains("column id: has a page of 80 MiB, over the limit of 64"),
            "{compression}: {message}"
        );
    }
    // As many rows, and texts as long, where they are the file's own.
    let own: Vec<ByteArray> = (0..100_000).map(|i| ByteArray::from(format!("{i:0200}").as_str())).collect();
    write(&path, &own, properties());
    assert_eq!(read_table(&path), Ok(100_000));
    assert!(peak() < MEMORY, "{} KiB", peak());
}

/// The number of the compact protocol: seven bits a byte.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A file whose metadata are a list of schema elements, each with so many children.
fn with_schema(path: &Path, children: &[u64]) {
    let element = |children: &u64| {
        // Repetition, name and children, the fields 3, 4 and 5.
        [&[0x35, 0x00, 0x18, 0x01, b'a', 0x15][..], &varint(children << 1), &[0]].concat()
    };
    let elements: Vec<u8> = children.iter().flat_map(element).collect();
    let metadata = [
        &[0x15, 0x02, 0x19, 0xfc][..],
        &varint(children.len() as u64),
        &elements,
        &[0x16, 0x00, 0x19, 0x0c, 0],
    ]
    .concat();
    let file = [b"PAR1", &metadata[..], &(metadata.len() as u32).to_le_bytes(), b"PAR1"].concat();
    fs::write(path, file).unwrap();
}

#[test]
fn schemas_are_no_deeper_or_wider_than_they_say() {
    naswot_cli::panics::quiet();
    let folder = Folder::new();
    let path = folder.path("schema.parquet");
    for (children, what) in [
        (vec![1; 4000], "over 16 levels deep"),
        (vec![1 << 31, 0], "columns, over the limit of 4096"),
        (vec![4000, 0, 0], "has fewer columns than its schema says"),
        (vec![1, 0, 0, 0], "has more columns than its schema says"),
        ([vec![5000], vec![0; 5000]].concat(), "has a list of 5001 elements, over the limit of 4096"),
    ] {
        with_schema(&path, &children);
        let message = read_table(&path).unwrap_err();
        assert!(message.contains(what), "{message}");
    }
    assert!(COLUMNS.len() < 4096);
}

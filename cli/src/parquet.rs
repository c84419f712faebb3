//! Rows as a Parquet file: one optional column a column, compressed with Snappy.
//!
//! Files that people bring may be damaged, or made to be: what they claim is checked first (`limits.rs`), and the library's
//! panics are errors.

mod limits;
mod thrift;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::Field as Value;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use crate::columns::{COLUMNS, Column};
use crate::exit::{Failure, Result};
use crate::field::{Field, FieldKind};
use crate::panics::caught;
use crate::rows::Row;
use crate::text::cut;
use limits::Unpacked;

/// Number of rows in a row group, which are in memory at once.
const GROUP: usize = 1 << 16;

/// Records of a file: a text for each of its columns, as in CSV without quotes.
pub(crate) struct ParquetRecords {
    rows: RowIter<'static>,
    name: String,
    read: usize,
    unpacked: Unpacked,
}

/// Opens a file: the names of its columns, and its records.
pub(crate) fn read(path: &Path) -> Result<(Vec<String>, ParquetRecords)> {
    let name = path.display().to_string();
    let unusable = |error: &dyn std::fmt::Display| Failure::unusable(format_args!("{name}: {error}"));
    let file = File::open(path).map_err(|error| unusable(&error))?;
    let size = file.metadata().map_err(|error| unusable(&error))?.len();
    limits::check_footer(&file).map_err(|error| unusable(&error))?;
    let copy = file.try_clone().map_err(|error| unusable(&error))?;
    let reader = caught(|| SerializedFileReader::new(copy));
    let reader =
        reader.map_err(|panic| unusable(&damaged(&panic)))?.map_err(|error| unusable(&cut(error)))?;
    if let Some(compression) = unread_compression(reader.metadata()) {
        let message =
            "which this naswot does not unpack: write it with compression zstd, snappy, gzip or lz4";
        return Err(unusable(&format_args!("is Parquet compressed with {compression}, {message}")));
    }
    let checked = caught(|| limits::check_pages(&file, size, reader.metadata()));
    checked.map_err(|panic| damaged(&panic)).flatten().map_err(|error| unusable(&error))?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let columns = schema.root_schema().get_fields().iter().map(|column| column.name().to_owned()).collect();
    let rows = caught(|| reader.into_iter()).map_err(|panic| unusable(&damaged(&panic)))?;
    Ok((columns, ParquetRecords { rows, name, read: 0, unpacked: Unpacked::of(size) }))
}

/// The name of a compression that is not built in, if a column has one: nobody's default, and brotli takes long to build.
fn unread_compression(metadata: &ParquetMetaData) -> Option<&'static str> {
    let mut columns = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    columns.find_map(|column| match column.compression() {
        Compression::BROTLI(_) => Some("brotli"),
        Compression::LZO => Some("lzo"),
        _ => None,
    })
}

impl ParquetRecords {
    /// The next record, and its position from 0.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Vec<String>)>> {
        let (name, position) = (&self.name, self.read);
        let wrong = |why: String| Failure::unusable(format_args!("{name}: row {position} (from 0): {why}"));
        let row = caught(|| self.rows.next()).map_err(|panic| wrong(damaged(&panic)))?;
        let Some(row) = row.transpose().map_err(|error| wrong(cut(error)))? else { return Ok(None) };
        let texts: Vec<String> = row.into_columns().into_iter().map(|(_, value)| text(value)).collect();
        for text in &texts {
            self.unpacked.add(text).map_err(wrong)?;
        }
        self.read += 1;
        Ok(Some((position, texts)))
    }
}

/// What is said of a file that the library has panicked at.
fn damaged(panic: &str) -> String {
    format!("is damaged: {}", cut(panic))
}

fn text(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        // In few digits, and whole numbers without a point: tables make reals of integers when some are missing.
        Value::Double(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Str(text) => text,
        value => value.to_string(),
    }
}

/// Writes rows to a file; `path` is what to call it.
pub(crate) fn write(rows: &mut dyn Iterator<Item = Result<Row>>, file: File, path: &Path) -> Result<()> {
    let failed = |error: ParquetError| Failure::stopped(format_args!("{}: {error}", path.display()));
    let schema = Arc::new(schema().map_err(failed)?);
    let properties = Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).map_err(failed)?;
    loop {
        let group = rows.take(GROUP).collect::<Result<Vec<Row>>>()?;
        if group.is_empty() {
            break;
        }
        writer.next_row_group().and_then(|columns| write_group(columns, &group)).map_err(failed)?;
    }
    writer.close().map(drop).map_err(failed)
}

fn schema() -> Result<Type, ParquetError> {
    let column = |column: &Column| {
        let (physical, converted) = match column.kind {
            FieldKind::Integer => (Physical::INT64, ConvertedType::UINT_64),
            FieldKind::Real | FieldKind::Score => (Physical::DOUBLE, ConvertedType::NONE),
            FieldKind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        let built = Type::primitive_type_builder(column.name, physical).with_converted_type(converted);
        built.with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    };
    let columns = COLUMNS.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("rows").with_fields(columns).build()
}

fn write_group(mut columns: SerializedRowGroupWriter<File>, rows: &[Row]) -> Result<(), ParquetError> {
    for (place, column) in COLUMNS.iter().enumerate() {
        let fields = || rows.iter().map(|row| &row.fields()[place]);
        match column.kind {
            FieldKind::Integer => write_column::<Int64Type>(&mut columns, fields(), |field| match field {
                // The same 64 bits.
                Field::Integer(value) => Some(value.cast_signed()),
                _ => None,
            }),
            FieldKind::Real | FieldKind::Score => {
                write_column::<DoubleType>(&mut columns, fields(), |field| match field {
                    Field::Real(value) => Some(*value),
                    _ => None,
                })
            }
            FieldKind::Text => write_column::<ByteArrayType>(&mut columns, fields(), |field| match field {
                Field::Text(text) => Some(ByteArray::from(text.as_str())),
                _ => None,
            }),
        }?;
    }
    columns.close().map(drop)
}

fn write_column<'a, T: DataType>(
    columns: &mut SerializedRowGroupWriter<File>,
    fields: impl Iterator<Item = &'a Field>,
    value: impl Fn(&Field) -> Option<T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<Option<T::T>> = fields.map(value).collect();
    // A definition level says whether there is a value.
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.into_iter().flatten().collect();
    let Some(mut column) = columns.next_column()? else {
        return Err(ParquetError::General("the schema has too few columns".to_owned()));
    };
    column.typed::<T>().write_batch(&values, Some(&levels), None)?;
    column.close()
}

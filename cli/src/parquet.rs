//! Rows as a Parquet file: one optional column a column, compressed with Snappy.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::Field as Value;
use parquet::schema::types::Type;

use crate::exit::{Failure, Result};
use crate::old_rows::Columns;
use crate::row_file::Rows;
use crate::rows::{COLUMNS, Field, Kind, Row, check};

/// Rows of a row group, which are in memory at once.
const GROUP: usize = 1 << 16;

/// The rows of a file, one after the other.
pub(crate) fn rows(path: &Path, columns: Columns) -> Result<Rows> {
    let name = path.display().to_string();
    let unusable = |error: &dyn std::fmt::Display| Failure::unusable(format_args!("{name}: {error}"));
    let file = File::open(path).map_err(|error| unusable(&error))?;
    let reader = SerializedFileReader::new(file).map_err(|error| unusable(&error))?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let found: Vec<&str> = schema.root_schema().get_fields().iter().map(|column| column.name()).collect();
    if columns == Columns::Exact && found != COLUMNS {
        let message = format!("its columns are not those of rows: {}", found.join(", "));
        return Err(unusable(&message));
    }
    let place = |column: &&str| {
        let place = found.iter().position(|name| name == column);
        place.ok_or_else(|| unusable(&format!("has no column `{column}`")))
    };
    let places = COLUMNS.iter().map(place).collect::<Result<Vec<usize>>>()?;
    let rows = reader.into_iter().enumerate().map(move |(number, row)| {
        let wrong = |why: String| Failure::unusable(format_args!("{name}: row {number} (from 0): {why}"));
        let values = row.map_err(|error| wrong(error.to_string()))?;
        let values: Vec<&Value> = values.get_column_iter().map(|(_, value)| value).collect();
        let mut row = std::array::from_fn(|_| Field::Empty);
        for ((field, column), &place) in row.iter_mut().zip(COLUMNS).zip(&places) {
            let value = values[place];
            *field = read(value, Kind::of(column)).ok_or_else(|| wrong(format!("{column} is {value}")))?;
        }
        check(&row).map_err(wrong)?;
        Ok((number, row))
    });
    Ok(Box::new(rows))
}

fn read(value: &Value, kind: Kind) -> Option<Field> {
    Some(match (value, kind) {
        (Value::Null, _) => Field::Empty,
        (Value::ULong(value), Kind::Integer) => Field::Integer(*value),
        (Value::Long(value), Kind::Integer) => Field::Integer(u64::try_from(*value).ok()?),
        // What tables make of integers when some are missing.
        (Value::Double(value), Kind::Integer)
            if value.fract() == 0.0 && (0.0..2_f64.powi(53)).contains(value) =>
        {
            Field::Integer(*value as u64)
        }
        (Value::Double(value), Kind::Real) if value.is_finite() || *value == f64::NEG_INFINITY => {
            Field::Real(*value)
        }
        (Value::Str(text), Kind::Text) => Field::Text(text.clone()),
        _ => return None,
    })
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
    let column = |name: &&str| {
        let (physical, converted) = match Kind::of(name) {
            Kind::Integer => (Physical::INT64, ConvertedType::UINT_64),
            Kind::Real => (Physical::DOUBLE, ConvertedType::NONE),
            Kind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        let column = Type::primitive_type_builder(name, physical).with_converted_type(converted);
        column.with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    };
    let columns = COLUMNS.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("rows").with_fields(columns).build()
}

fn write_group(mut columns: SerializedRowGroupWriter<File>, rows: &[Row]) -> Result<(), ParquetError> {
    for (place, name) in COLUMNS.iter().enumerate() {
        let fields = || rows.iter().map(|row| &row[place]);
        match Kind::of(name) {
            Kind::Integer => write_column::<Int64Type>(&mut columns, fields(), |field| match field {
                // The same 64 bits.
                Field::Integer(value) => Some(value.cast_signed()),
                _ => None,
            }),
            Kind::Real => write_column::<DoubleType>(&mut columns, fields(), |field| match field {
                Field::Real(value) => Some(*value),
                _ => None,
            }),
            Kind::Text => write_column::<ByteArrayType>(&mut columns, fields(), |field| match field {
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

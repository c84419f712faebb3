//! The columns by which the networks of two files are joined.

use naswot::Architecture;

use crate::exit::Result;
use crate::table::Table;
use crate::text::listed;

/// The names of columns that say which network a row is of.
const NAMES: [&str; 3] = ["id", "hash", "arch"];
/// Digits of a hash.
const HASH: usize = 32;

/// A column that networks are joined by alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinKey(String);

impl From<&str> for JoinKey {
    fn from(name: &str) -> Self {
        JoinKey(name.trim().to_owned())
    }
}

impl JoinKey {
    /// The names that its column may have: an id of NAS-Bench-101 is called a hash elsewhere.
    fn names(&self) -> Vec<&str> {
        let is = |name: &str| self.0.eq_ignore_ascii_case(name);
        if is("id") || is("hash") { vec!["id", "hash"] } else { vec![&self.0] }
    }

    /// Whether it is a column of rows, by its name there.
    fn is_row_column(&self, column: &str) -> bool {
        self.names().iter().any(|name| name.eq_ignore_ascii_case(column))
    }
}

/// The names that a network of rows goes by, given its id, where that is wanted, and its arch.
pub(crate) fn row_names(key: Option<&JoinKey>, id: impl FnOnce() -> String, arch: String) -> Vec<String> {
    match key {
        Some(key) if key.is_row_column("id") => vec![id()],
        Some(key) if key.is_row_column("arch") => vec![arch],
        _ => vec![id(), arch],
    }
}

/// The column of a table of accuracies that says of which epoch a record is: the key, or the one of that name.
pub(crate) fn epoch_column(table: &Table, key: Option<&JoinKey>) -> Result<String> {
    let name = key.map_or("epoch", |key| &key.0);
    let wrong =
        || table.wrong_columns(format_args!("none is `{name}`; --key says which has the epochs of a trace"));
    table.position(name).map(|place| table.columns()[place].clone()).ok_or_else(wrong)
}

/// The columns that name the networks of a table of accuracies: the key, or those that are called so, or the only one that
/// holds cells or hashes.
pub(crate) fn table_columns(table: &mut Table, key: Option<&JoinKey>) -> Result<Vec<String>> {
    let Some(key) = key else { return found_columns(table) };
    let columns = named(table, &key.names());
    if columns.is_empty() {
        return Err(table.wrong_columns(format_args!("none is `{}`", key.0)));
    }
    if has_row_places(table, &columns) {
        let why = "`index` is a row's place in its input, no number of a benchmark: join by id or arch";
        return Err(table.wrong_columns(why));
    }
    Ok(columns)
}

/// Whether the columns that name networks are the places of rows in the input of a run, which its batch shows to be rows.
fn has_row_places(table: &Table, columns: &[String]) -> bool {
    columns.iter().any(|name| name == "index") && table.position("batch_sha256").is_some()
}

/// The columns that name the networks of scores: the key where there is one, else those that a table would be joined by.
pub(crate) fn score_columns(table: &mut Table, key: Option<&JoinKey>) -> Result<Vec<String>> {
    let columns = key.map_or(Vec::new(), |key| named(table, &key.names()));
    if columns.is_empty() || has_row_places(table, &columns) { found_columns(table) } else { Ok(columns) }
}

fn found_columns(table: &mut Table) -> Result<Vec<String>> {
    let columns = named(table, &NAMES);
    if !columns.is_empty() {
        return Ok(columns);
    }
    let texts = table.first()?.map_or(Vec::new(), |record| record.texts.clone());
    let holding = holding(table, &texts);
    if holding.len() == 1 {
        return Ok(holding);
    }
    let is_object = |text: &String| text.starts_with('{');
    if table.columns().iter().any(|column| is_name(column)) || texts.iter().any(is_object) {
        return Err(table.wrong_header(
            "is one object of JSON, and a table has a record for each network, such as \
             {\"arch\": \"..\", \"accuracy\": 93.66}",
        ));
    }
    let holding =
        if holding.is_empty() { "none holds".to_owned() } else { format!("{} hold", listed(&holding)) };
    Err(table.wrong_columns(format_args!(
        "none is `id`, `hash` or `arch`, and {holding} cells or hashes; --key says which names the networks"
    )))
}

/// The columns whose first field is a cell or a hash.
pub(crate) fn columns_of_names(table: &mut Table) -> Result<Vec<String>> {
    let texts = table.first()?.map_or(Vec::new(), |record| record.texts.clone());
    Ok(holding(table, &texts))
}

fn holding(table: &Table, texts: &[String]) -> Vec<String> {
    let holding = table.columns().iter().zip(texts).filter(|(_, text)| is_name(text));
    holding.map(|(column, _)| column.clone()).collect()
}

fn named(table: &Table, names: &[&str]) -> Vec<String> {
    let places = names.iter().filter_map(|name| table.position(name));
    places.map(|place| table.columns()[place].clone()).collect()
}

/// Whether a text names a network by itself: a cell or a hash.
pub(crate) fn is_name(text: &str) -> bool {
    let hash = text.len() == HASH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    hash || !Architecture::names_in_rows(text).is_empty()
}

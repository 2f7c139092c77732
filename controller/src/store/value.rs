//! Values as they cross the border to a database.

use super::StoreError;

/// A value of a parameter or a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    /// Bytes; also a text column whose bytes are no UTF-8, so that damage is seen and not smoothed over.
    Blob(Vec<u8>),
}

/// One row of an answer, in the order of the columns asked for.
pub type Row = Vec<Value>;

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

/// Numbers past `i64::MAX` have no place in a table; none of ours counts that far.
impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).expect("a count below 2^63"))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Int(i64::from(truth))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(bytes: [u8; N]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl From<watchkeep_desk::Millis> for Value {
    fn from(at: watchkeep_desk::Millis) -> Self {
        Self::Int(at.0)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Value {
    /// The bytes of text or blob, however damaged; none for numbers and null.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Blob(bytes) => Some(bytes),
            Self::Null | Self::Int(_) | Self::Real(_) => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a real number",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}

/// Takes a row's columns one after the other, each as the type it should have.
///
/// Errors: [`StoreError::Corrupt`] names the table, the place of the column and what stands there instead.
pub struct Columns {
    table: &'static str,
    place: usize,
    rest: std::vec::IntoIter<Value>,
}

impl Columns {
    pub fn new(table: &'static str, row: Row) -> Self {
        Self { table, place: 0, rest: row.into_iter() }
    }

    /// The next column, whatever it holds.
    pub fn value(&mut self) -> Result<Value, StoreError> {
        self.place += 1;
        self.rest.next().ok_or_else(|| StoreError::Corrupt {
            table: self.table,
            found: format!("the answer has no column {}", self.place),
        })
    }

    pub fn int(&mut self) -> Result<i64, StoreError> {
        match self.value()? {
            Value::Int(number) => Ok(number),
            other => Err(self.wrong(&other, "an integer")),
        }
    }

    /// A count or a sequence: an integer that is not negative.
    pub fn count(&mut self) -> Result<u64, StoreError> {
        let number = self.int()?;
        u64::try_from(number).map_err(|_| self.corrupt(format!("column {} is {number}, below zero", self.place)))
    }

    pub fn truth(&mut self) -> Result<bool, StoreError> {
        Ok(self.int()? != 0)
    }

    pub fn text(&mut self) -> Result<String, StoreError> {
        match self.value()? {
            Value::Text(text) => Ok(text),
            other => Err(self.wrong(&other, "text")),
        }
    }

    pub fn blob(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.value()? {
            Value::Blob(bytes) => Ok(bytes),
            other => Err(self.wrong(&other, "bytes")),
        }
    }

    pub fn opt_blob(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Blob(bytes) => Ok(Some(bytes)),
            other => Err(self.wrong(&other, "bytes or nothing")),
        }
    }

    pub fn opt_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            other => Err(self.wrong(&other, "an integer or nothing")),
        }
    }

    pub fn opt_count(&mut self) -> Result<Option<u64>, StoreError> {
        let number = self.opt_int()?;
        let below = |number| self.corrupt(format!("column {} is {number}, below zero", self.place));
        number.map(|number| u64::try_from(number).map_err(|_| below(number))).transpose()
    }

    pub fn opt_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.value()? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(self.wrong(&other, "text or nothing")),
        }
    }

    /// A column that holds JSON of a known shape.
    pub fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|error| self.corrupt(format!("column {}: {error}", self.place)))
    }

    /// What is wrong with this row, in words.
    pub fn corrupt(&self, found: impl Into<String>) -> StoreError {
        StoreError::Corrupt { table: self.table, found: found.into() }
    }

    fn wrong(&self, found: &Value, wanted: &str) -> StoreError {
        self.corrupt(format!("column {} holds {} where {wanted} belongs", self.place, found.kind()))
    }
}

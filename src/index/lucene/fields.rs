//! The fields that the documents of a segment have.

use super::error::LuceneError;
use super::input::{ID, Part};

/// What a field has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub name: String,
    pub number: u32,
    /// How its terms are indexed; `None`: they are not.
    pub terms: Option<Indexed>,
    /// Whether it has a number for each document.
    numbers: bool,
    attributes: Vec<(String, String)>,
}

/// What is kept of each term in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Indexed {
    pub frequencies: bool,
    pub positions: bool,
    pub offsets: bool,
}

impl Field {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The suffix of the files with the numbers of a field: `<format>_<number>`; `None`: it has none in this segment.
    pub fn numbers_suffix(&self, part: &Part) -> Result<Option<String>, LuceneError> {
        let attributes = ["PerFieldDocValuesFormat.format", "PerFieldDocValuesFormat.suffix"];
        if self.numbers { self.suffix(part, attributes, "Lucene80") } else { Ok(None) }
    }

    /// The same of the files with its terms. A field whose texts have no words has none.
    pub fn terms_suffix(&self, part: &Part) -> Result<Option<String>, LuceneError> {
        let attributes = ["PerFieldPostingsFormat.format", "PerFieldPostingsFormat.suffix"];
        if self.terms.is_some() { self.suffix(part, attributes, "Lucene84") } else { Ok(None) }
    }

    fn suffix(
        &self,
        part: &Part,
        [format, number]: [&str; 2],
        wanted: &'static str,
    ) -> Result<Option<String>, LuceneError> {
        let Some(found) = self.attribute(format) else { return Ok(None) };
        if found != wanted {
            return Err(LuceneError::unknown(part.path(), "format", found));
        }
        let number = self.attribute(number).unwrap_or_default();
        Ok(Some(format!("{found}_{number}")))
    }
}

/// Reads `<segment>.fnm`.
///
/// | Size | Field |
/// |-----:|-------|
/// |      | header: `Lucene60FieldInfos`, version 2, id of the segment, no suffix |
/// | vint | fields |
/// |      | for each field: |
/// | text | name |
/// | vint | number |
/// |    1 | bit 0 vectors of terms, 1 no norms, 2 payloads, 3 marks soft deletions |
/// |    1 | terms: 0 not indexed, 1 documents, 2 and frequencies, 3 and positions, 4 and offsets |
/// |    1 | doc values: 0 none, 1 number, 2 bytes, 3 sorted, 4 sorted set, 5 sorted numbers |
/// |    8 | generation of the doc values, -1: none |
/// |  map | attributes |
/// | vint | dimensions of points |
/// | vint, vint | dimensions that are indexed and bytes of each, if it has points |
/// |      | footer |
pub(super) fn read(part: &Part, id: &[u8; ID]) -> Result<Vec<Field>, LuceneError> {
    part.verify()?;
    let mut input = part.input();
    input.header("Lucene60FieldInfos", 2..=2, id, "")?;
    let mut fields = Vec::new();
    for _ in 0..input.vint("fields")? {
        let name = input.text("name of a field")?;
        let number = input.vint("number of a field")?;
        let bits = input.u8("bits of a field")?;
        let indexed = input.u8("options of the terms")?;
        if indexed > 4 {
            return Err(input.wrong("options of the terms", indexed));
        }
        let payloads = bits & 4 != 0;
        let terms = (indexed > 0).then_some(Indexed {
            frequencies: indexed > 1,
            positions: indexed > 2,
            offsets: indexed > 3 || payloads,
        });
        let numbers = input.u8("kind of the doc values")? == 1;
        input.i64("generation of the doc values")?;
        let attributes = input.map("attributes")?;
        if input.vint("dimensions of points")? != 0 {
            input.vint("indexed dimensions")?;
            input.vint("bytes of a dimension")?;
        }
        fields.push(Field { name, number, terms, numbers, attributes });
    }
    Ok(fields)
}

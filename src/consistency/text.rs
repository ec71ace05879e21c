//! Records as reports show them. Specification: consistency check 5.

use std::fmt::{self, Display, Formatter};

use super::blocks::Words;
use super::raw::{
    DynamicHeader, RawDynamic, RawGroup, RawLink, RawNode, RawProperty, RawRelationship, RawSchema, RawToken,
};
use crate::index::value::text::ObjectText;
use crate::store::error::Malformed;
use crate::store::labels::{LabelField, Labels};
use crate::store::value::block::{Block, Content, Kind};

impl Display for RawNode {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let next = if self.dense { "group" } else { "rel" };
        write!(
            f,
            "Node[{},used={},created=false,{next}={},prop={},labels={},light]",
            self.id,
            self.used,
            self.next,
            self.property,
            LabelText(LabelField(self.labels))
        )
    }
}

struct LabelText(LabelField);

impl Display for LabelText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.labels() {
            Labels::Dynamic(first) => write!(f, "Dynamic(id:{})", first.0),
            Labels::Inline(_) => {
                let labels: Vec<_> = inline_labels(self.0.0).collect();
                write!(f, "Inline(0x{:x}:{})", self.0.0, List(&labels))
            }
        }
    }
}

const ID_BITS: u32 = 36;

/// The labels of a label field that has them itself, as numbers of up to 36 bits.
pub(super) fn inline_labels(field: u64) -> impl Iterator<Item = u64> {
    let count = (field >> ID_BITS & 7) as u32;
    let width = ID_BITS.checked_div(count).unwrap_or_default();
    (0..count).map(move |index| field >> (index * width) & ((1 << width) - 1))
}

/// Things in square brackets.
#[derive(Debug)]
pub(super) struct List<'a, T>(pub &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, item) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{item}")?;
        }
        f.write_str("]")
    }
}

impl Display for RawRelationship {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let previous = |link: &RawLink| if link.first { "Count" } else { "Prev" };
        let first = |link: &RawLink| if link.first { " " } else { "!" };
        write!(
            f,
            "Relationship[{},used={},source={},target={},type={},s{}={},sNext={},t{}={},tNext={},prop={},{}sFirst,\
             {}tFirst]",
            self.id,
            self.used,
            self.source.node,
            self.target.node,
            self.type_id,
            previous(&self.source),
            self.source.previous,
            self.source.next,
            previous(&self.target),
            self.target.previous,
            self.target.next,
            self.property,
            first(&self.source),
            first(&self.target)
        )
    }
}

impl Display for RawGroup {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [outgoing, incoming, loops] = self.external;
        write!(
            f,
            "RelationshipGroup[{},type={},out={},in={},loop={},prev=-1,next={},used={},owner={},\
             externalDegrees=[out:{outgoing},in:{incoming},loop:{loops}]]",
            self.id, self.type_id, self.outgoing, self.incoming, self.loops, self.next, self.used, self.owner
        )
    }
}

/// A property record without its properties.
impl Display for RawProperty {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Property[{},used={},prev={},next={}, (blocks not loaded)]",
            self.id, self.used, self.previous, self.next
        )
    }
}

/// A property record with its properties.
#[derive(Clone, Copy, Debug)]
pub(super) struct WithBlocks<'a>(pub &'a RawProperty, pub &'a Words);

impl Display for WithBlocks<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(record, words) = *self;
        let mut text = String::new();
        for block in words.blocks() {
            match block.and_then(|block| block_text(&block)) {
                Ok(block) => {
                    text.push(',');
                    text.push_str(&block);
                }
                Err(malformed) => {
                    return write!(
                        f,
                        "PropertyRecord[{},Error generating toString: {}]",
                        record.id,
                        exception(malformed)
                    );
                }
            }
        }
        write!(
            f,
            "Property[{},used={},prev={},next={}{text}]",
            record.id, record.used, record.previous, record.next
        )
    }
}

/// What Java says of a value that it can't decode.
fn exception(malformed: Malformed) -> String {
    match malformed {
        Malformed::ValuePart { what: "precision of a point", .. } => {
            "java.lang.UnsupportedOperationException: Float precision is unsupported in Geometry properties"
                .to_owned()
        }
        other => format!("java.lang.IllegalArgumentException: {other}"),
    }
}

/// A property; a value that can't be decoded is left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockText<'a>(pub &'a Block<'a>);

impl Display for BlockText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match block_text(self.0) {
            Ok(text) => f.write_str(&text),
            Err(malformed) => write!(f, "PropertyBlock[Error generating toString: {}]", exception(malformed)),
        }
    }
}

fn block_text(block: &Block<'_>) -> Result<String, Malformed> {
    let name = match block.kind {
        Kind::Bool => "BOOL",
        Kind::Byte => "BYTE",
        Kind::Short => "SHORT",
        Kind::Char => "CHAR",
        Kind::Int => "INT",
        Kind::Long => "LONG",
        Kind::Float => "FLOAT",
        Kind::Double => "DOUBLE",
        Kind::String => "STRING",
        Kind::Array => "ARRAY",
        Kind::ShortString => "SHORT_STRING",
        Kind::ShortArray => "SHORT_ARRAY",
        Kind::Geometry => "GEOMETRY",
        Kind::Temporal => "TEMPORAL",
    };
    let head = format!("PropertyBlock[blocks={},{name},key={},", block.words.len(), block.key.0);
    Ok(match block.content()? {
        Content::String(first) | Content::Array(first) => format!("{head}firstDynamic={}]", first.0),
        Content::Value(value) => format!("{head}value={}]", ObjectText(&value)),
    })
}

impl Display for RawDynamic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let DynamicHeader { used, start, length, next, .. } = self.header;
        write!(f, "DynamicRecord[{},used={used},({length}),type=-1,data=byte[", self.id)?;
        if length <= 8 {
            for (index, byte) in self.data.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(f, "{comma}{}", byte.cast_signed())?;
            }
        } else {
            write!(f, "size={length}")?;
        }
        write!(f, "],start={start},next={next}]")
    }
}

/// What a token is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Label,
    RelationshipType,
    PropertyKey,
}

/// A token record.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenText(pub TokenKind, pub RawToken);

impl Display for TokenText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(kind, token) = *self;
        let (name, count) = match kind {
            TokenKind::Label => ("Label", String::new()),
            TokenKind::RelationshipType => ("RelationshipType", String::new()),
            TokenKind::PropertyKey => ("PropertyKey", format!(",propCount={}", token.property_count)),
        };
        let used = if token.used { "in use" } else { "no use" };
        write!(f, "{name}[{},{used},nameId={},internal={}{count}]", token.id, token.name, token.internal)
    }
}

/// The labels or types of 64 entities.
#[derive(Clone, Debug)]
pub(super) struct TokenRange<'a> {
    /// `NodeLabelRange` or `RelationshipTypeRange`.
    pub name: &'static str,
    /// The first entity.
    pub first: u64,
    /// Tokens, ascending, with a bit per entity.
    pub tokens: &'a [(i64, u64)],
}

impl Display for TokenRange<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[idRange={}-{}; {{", self.name, self.first, self.first + 64)?;
        for bit in 0..64_u64 {
            let comma = if bit == 0 { "" } else { ", " };
            write!(f, "{comma}Entity[{}]: Tokens", self.first + bit)?;
            let tokens: Vec<_> =
                self.tokens.iter().filter(|(_, bits)| bits >> bit & 1 != 0).map(|(token, _)| token).collect();
            if tokens.is_empty() {
                f.write_str("[null]")?;
            } else {
                write!(f, "{}", List(&tokens))?;
            }
        }
        f.write_str("}]")
    }
}

/// A schema record with what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct SchemaText<'a> {
    pub record: RawSchema,
    /// The description of its rule, or why there is none.
    pub description: Result<&'a str, &'a str>,
}

impl Display for SchemaText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let RawSchema { id, used, property } = self.record;
        write!(f, "SchemaRecord[{id},used={used},nextProp={property},constraint=false] ")?;
        match self.description {
            Ok(description) => write!(f, "({description})"),
            Err(reason) => write!(f, "(schema user description not available due to: {reason})"),
        }
    }
}

/// An entry of the counts store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CountsText {
    pub key: (u8, i64, i32),
    pub count: i64,
}

impl Display for CountsText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (kind, first, second) = self.key;
        write!(f, "CountsEntry[CountsKey[type:{kind}, first:{first}, second:{second}]: {}]", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw::{NONE, Raw};
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn records_read_as_in_the_specification() {
        let node = |id, bytes: &str| RawNode::standard(id, &hex(bytes)).to_string();
        assert_eq!(
            node(0, "01000000090000000a000000001000"),
            "Node[0,used=true,created=false,rel=9,prop=10,labels=Inline(0x1000000000:[0]),light]"
        );
        assert_eq!(
            node(3, "0100000001ffffffff000000011001"),
            "Node[3,used=true,created=false,group=1,prop=-1,labels=Inline(0x1000000001:[1]),light]"
        );
        assert_eq!(
            node(4, "01ffffffff0000000c000000018000"),
            "Node[4,used=true,created=false,rel=-1,prop=12,labels=Dynamic(id:1),light]"
        );
        assert_eq!(
            RawNode::cleared(99_999).to_string(),
            "Node[99999,used=false,created=false,rel=-1,prop=-1,labels=Inline(0x0:[]),light]"
        );
        let relationship = "01 00000003 00000001 00000000 00000005 ffffffff 00000004 00000002 ffffffff 02";
        assert_eq!(
            RawRelationship::standard(6, &hex(relationship)).to_string(),
            "Relationship[6,used=true,source=3,target=1,type=0,sPrev=5,sNext=-1,tCount=4,tNext=2,prop=-1,!sFirst, tFirst]"
        );
        assert_eq!(
            RawRelationship::cleared(99_999).to_string(),
            "Relationship[99999,used=false,source=-1,target=-1,type=-1,sCount=1,sNext=-1,tCount=1,tNext=-1,prop=-1, sFirst, tFirst]"
        );
        let group = "01 00 0000 00000002 00000005 ffffffff 00000008 00000003 00";
        assert_eq!(
            RawGroup::standard(1, &hex(group)).to_string(),
            "RelationshipGroup[1,type=0,out=5,in=-1,loop=8,prev=-1,next=2,used=true,owner=3,externalDegrees=[out:false,in:false,loop:false]]"
        );
    }

    #[test]
    fn properties_read_as_in_the_specification() {
        let bytes =
            hex("00 ffffffff 00000009 000000007500000a 00000002a500000b 0000000000000000 0000000000000000");
        let record = RawProperty::standard(10, &bytes);
        assert_eq!(record.to_string(), "Property[10,used=true,prev=-1,next=9, (blocks not loaded)]");
        assert_eq!(
            WithBlocks(&record, &Words::Own(record.words)).to_string(),
            "Property[10,used=true,prev=-1,next=9,PropertyBlock[blocks=1,INT,key=10,value=7],PropertyBlock[blocks=1,INT,key=11,value=42]]"
        );
        assert_eq!(
            RawProperty::cleared(70_000).to_string(),
            "Property[70000,used=false,prev=-1,next=-1, (blocks not loaded)]"
        );
        let bytes =
            hex("00 ffffffff ffffffff 000000001900000c 010001211d00000b 3ff0000000000000 0000000000000000");
        let record = RawProperty::standard(11, &bytes);
        assert_eq!(
            WithBlocks(&record, &Words::Own(record.words)).to_string(),
            "PropertyRecord[11,Error generating toString: java.lang.UnsupportedOperationException: Float precision \
             is unsupported in Geometry properties]"
        );
    }

    #[test]
    fn dynamic_records_show_short_data_only() {
        let header = DynamicHeader { used: true, too_long: false, start: true, length: 7, next: 1 };
        let record = RawDynamic { id: 1, header, data: vec![6, 3, 3, 68, 52, 214, 7] };
        assert_eq!(
            record.to_string(),
            "DynamicRecord[1,used=true,(7),type=-1,data=byte[6,3,3,68,52,-42,7],start=true,next=1]"
        );
        let header = DynamicHeader { used: false, start: false, length: 80, next: NONE, ..header };
        assert_eq!(
            RawDynamic { id: 2, header, data: vec![0; 80] }.to_string(),
            "DynamicRecord[2,used=false,(80),type=-1,data=byte[size=80],start=false,next=-1]"
        );
        assert_eq!(
            RawDynamic::cleared(-1).to_string(),
            "DynamicRecord[-1,used=false,(0),type=-1,data=byte[],start=true,next=-1]"
        );
    }

    #[test]
    fn token_ranges_have_64_entities() {
        let range = TokenRange { name: "NodeLabelRange", first: 64, tokens: &[(1, 1), (4, 3)] }.to_string();
        assert!(range.starts_with(
            "NodeLabelRange[idRange=64-128; {Entity[64]: Tokens[1, 4], Entity[65]: Tokens[4], Entity[66]: Tokens[null], "
        ));
        assert!(range.ends_with(", Entity[127]: Tokens[null]}]"));
    }
}

//! Formats of stores: versions, families, and where in a file a record is.
//!
//! Specification: store format 2.1, 13.

use super::error::StoreError;
use super::id::StoreVersion;
use super::page_cache::FRAME_SIZE;

/// Formats with the same records in the same places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Pages as long as the records in them: no gaps in a file.
    Standard,
    /// The same records in pages of 8192 bytes; what is left at the end of a page is unused.
    Aligned,
    /// Records with wider references; no gaps.
    HighLimit,
}

impl Family {
    /// The family of a store version that a 4.x server writes.
    pub fn of(version: StoreVersion) -> Result<Self, StoreError> {
        match version.to_string().as_str() {
            "SF4.0.0" | "SF4.3.0" => Ok(Self::Standard),
            "AF4.1.a" | "AF4.3.0" => Ok(Self::Aligned),
            "HL4.0.0" | "HL4.3.0" => Ok(Self::HighLimit),
            _ => Err(StoreError::UnknownVersion { version }),
        }
    }

    /// Records of `size` bytes in a page.
    pub fn records_per_page(size: usize) -> usize {
        FRAME_SIZE.checked_div(size).unwrap_or_default()
    }

    /// Bytes from one page to the next in a file with records of `size` bytes.
    pub fn page_size(self, size: usize) -> usize {
        match self {
            Self::Aligned => FRAME_SIZE,
            Self::Standard | Self::HighLimit => Self::records_per_page(size) * size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_as_in_the_specification() {
        // Size, records per page, page size of standard and aligned.
        let compact = [
            (15, 546, 8190),
            (34, 240, 8160),
            (25, 327, 8175),
            (41, 199, 8159),
            (9, 910, 8190),
            (5, 1638, 8190),
            (8, 1024, 8192),
            (128, 64, 8192),
            (64, 128, 8192),
            (38, 215, 8170),
        ];
        let high_limit = [(16, 512, 8192), (32, 256, 8192), (48, 170, 8160), (42, 195, 8190)];
        for (size, records, page) in compact {
            assert_eq!(Family::records_per_page(size), records);
            assert_eq!(Family::Standard.page_size(size), page);
            assert_eq!(Family::Aligned.page_size(size), 8192);
        }
        for (size, records, page) in high_limit {
            assert_eq!((Family::records_per_page(size), Family::HighLimit.page_size(size)), (records, page));
        }
    }

    #[test]
    fn versions_have_families_and_old_ones_are_refused() {
        let family = |name| Family::of(StoreVersion::from_name(name).unwrap());
        assert_eq!(family("SF4.3.0").unwrap(), Family::Standard);
        assert_eq!(family("AF4.1.a").unwrap(), Family::Aligned);
        assert_eq!(family("HL4.3.0").unwrap(), Family::HighLimit);
        for old in ["v0.A.9", "vE.H.4"] {
            assert_eq!(
                family(old).unwrap_err().to_string(),
                format!("Unknown store version '{old}'; only stores of Neo4j 4.0 to 4.4 can be used")
            );
        }
    }
}

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

/// Between which releases of Neo4j a format was the one for new stores of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The first release that wrote it.
    pub introduced: &'static str,
    /// The first release that wrote another one; `None`: 4.4 writes it.
    pub superseded: Option<&'static str>,
}

/// The releases of a format; `None`: no Neo4j from 3.0 to 4.4 has such a version. Specification: store format 13.
pub fn release(version: StoreVersion) -> Option<Release> {
    let (introduced, superseded) = match version.to_string().as_str() {
        "v0.A.9" | "vE.H.4" => ("3.4.0", Some("4.0.0")),
        "vE.H.0" => ("3.0.0", Some("3.0.6")),
        "vE.H.0b" => ("3.0.6", Some("3.1.0")),
        "vE.H.2" => ("3.1.0", Some("3.2.0")),
        "vE.H.3" => ("3.2.0", Some("3.4.0")),
        "SF4.0.0" | "HL4.0.0" => ("4.0.0", Some("4.3.0")),
        "AF4.1.a" => ("4.1.0", Some("4.3.0")),
        "SF4.3.0" | "AF4.3.0" | "HL4.3.0" => ("4.3.0", None),
        _ => return None,
    };
    Some(Release { introduced, superseded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_that_is_read_has_its_releases() {
        for name in ["SF4.0.0", "SF4.3.0", "AF4.1.a", "AF4.3.0", "HL4.0.0", "HL4.3.0"] {
            let version = StoreVersion::from_name(name).unwrap();
            assert!(Family::of(version).is_ok() && release(version).is_some(), "{name}");
        }
        assert_eq!(release(StoreVersion::from_name("SF5.0.0").unwrap()), None);
    }

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

//! Distinguished names, attribute by attribute and in the given order: no common name, two common names, odd string types.

use const_oid::{ObjectIdentifier, db};
pub use der::Tag;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

/// One attribute of a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAttribute {
    /// Which attribute: commonName, organization, …
    pub kind: ObjectIdentifier,
    /// Its string type.
    pub tag: Tag,
    /// Its value, in the encoding of the tag.
    pub value: Vec<u8>,
    /// Whether it is in the same RelativeDistinguishedName as the attribute before it (rare but legal).
    pub joined: bool,
}

impl NameAttribute {
    /// An attribute as a UTF8String in a RelativeDistinguishedName of its own.
    pub fn new(kind: ObjectIdentifier, value: &str) -> Self {
        Self {
            kind,
            tag: Tag::Utf8String,
            value: value.as_bytes().to_vec(),
            joined: false,
        }
    }

    /// A commonName, as a PrintableString, which is what AWS's leaf has.
    pub fn common_name(value: &str) -> Self {
        Self {
            tag: Tag::PrintableString,
            ..Self::new(db::rfc4519::COMMON_NAME, value)
        }
    }

    /// An organizationName.
    pub fn organization(value: &str) -> Self {
        Self::new(db::rfc4519::ORGANIZATION_NAME, value)
    }

    /// An organizationalUnitName.
    pub fn organizational_unit(value: &str) -> Self {
        Self::new(db::rfc4519::ORGANIZATIONAL_UNIT_NAME, value)
    }
}

/// A distinguished name that consists of these attributes in this order.
pub(crate) fn distinguished_name(attributes: &[NameAttribute]) -> RdnSequence {
    let mut groups: Vec<Vec<AttributeTypeAndValue>> = Vec::new();
    for attribute in attributes {
        let value = AttributeTypeAndValue {
            oid: attribute.kind,
            value: der::Any::new(attribute.tag, attribute.value.clone())
                .expect("a name attribute is shorter than DER's limit"),
        };
        match groups.last_mut() {
            Some(group) if attribute.joined => group.push(value),
            _ => groups.push(vec![value]),
        }
    }
    let relative = |group| RelativeDistinguishedName::try_from(group).expect("one RDN's attributes are all different");
    RdnSequence(groups.into_iter().map(relative).collect())
}

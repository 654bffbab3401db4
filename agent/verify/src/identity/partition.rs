//! The partitions of AWS: which regions are in each, and the domain of its services.

/// A partition of AWS.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name, as IMDS serves it at `services/partition`.
    pub name: &'static str,
    /// What the names of its regions start with; `None`: any two letters that no other partition uses.
    prefix: Option<&'static str>,
    /// The number of words between the prefix and the number.
    words: usize,
    /// The domain of its services, as IMDS serves it at `services/domain`. A signer in any other domain is refused.
    pub domain: &'static str,
    /// Which kind of CA issues the certificates of its signers.
    pub(crate) signer_cas: SignerCas,
}

/// Which kind of CA issues the certificates of a partition's signers. It determines which extensions they must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignerCas {
    /// Public CAs. They put each name that they validated into subjectAltName, and serverAuth into extendedKeyUsage
    /// (Baseline Requirements 7.1.2.7). They validate neither a name that is only a common name, nor the common name of a
    /// client certificate.
    Public,
    /// Private CAs of an isolated partition. Their certificates are not known outside, so extensions that RFC 5280 makes
    /// optional may be absent: to require them could lock every user out. No public CA can validate a name in the
    /// domains of these partitions.
    Private,
}

/// The eight partitions. A region belongs to the first one whose prefix it has.
pub static PARTITIONS: [Partition; 8] = [
    partition("aws-cn", Some("cn"), 1, "amazonaws.com.cn", SignerCas::Public),
    partition("aws-us-gov", Some("us-gov"), 1, "amazonaws.com", SignerCas::Public),
    partition("aws-iso", Some("us-iso"), 1, "c2s.ic.gov", SignerCas::Private),
    partition("aws-iso-b", Some("us-isob"), 1, "sc2s.sgov.gov", SignerCas::Private),
    partition("aws-iso-e", Some("eu-isoe"), 1, "cloud.adc-e.uk", SignerCas::Private),
    partition("aws-iso-f", Some("us-isof"), 1, "csp.hci.ic.gov", SignerCas::Private),
    partition("aws-eusc", Some("eusc"), 2, "amazonaws.eu", SignerCas::Public),
    partition("aws", None, 1, "amazonaws.com", SignerCas::Public),
];

const fn partition(
    name: &'static str,
    prefix: Option<&'static str>,
    words: usize,
    domain: &'static str,
    signer_cas: SignerCas,
) -> Partition {
    Partition {
        name,
        prefix,
        words,
        domain,
        signer_cas,
    }
}

impl Partition {
    /// The partition of the region with this name; `None` if no region can have it.
    pub(super) fn of_region(region: &str) -> Option<&'static Self> {
        let (partition, rest) = PARTITIONS
            .iter()
            .find_map(|partition| Some((partition, partition.after_prefix(region)?)))?;
        partition.is_words_and_number(rest).then_some(partition)
    }

    /// The part of `region` after this partition's prefix and the hyphen; `None` if it does not have the prefix.
    fn after_prefix<'r>(&self, region: &'r str) -> Option<&'r str> {
        match self.prefix {
            Some(prefix) => region.strip_prefix(prefix)?.strip_prefix('-'),
            // Any two letters: users must be able to log in to a region that opened after this program was built.
            None => {
                let (letters, rest) = region.split_once('-')?;
                (letters.len() == 2 && is_word(letters)).then_some(rest)
            }
        }
    }

    /// Whether `rest` is this partition's number of words followed by a number of one or two digits.
    fn is_words_and_number(&self, rest: &str) -> bool {
        let mut parts = rest.split('-');
        let words = parts.by_ref().take(self.words).filter(|word| is_word(word)).count();
        let number = parts.next().unwrap_or_default();
        words == self.words
            && (1..=2).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit())
            && parts.next().is_none()
    }
}

/// Whether `text` consists of lower-case letters, at least one.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase())
}

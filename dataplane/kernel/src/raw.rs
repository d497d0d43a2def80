//! Records as bytes, for system calls.

use cordon_verdict::Ip;
use cordon_verdict::abi::cuckoo::Bucket;
use cordon_verdict::abi::{
    Address, Admission, CopyMetadata, CopyTarget, Counter, Event, Network, PortSetting, ProxyKey,
    Sampling, Span, Stack, Trace,
};

/// A record that can be passed as bytes.
///
/// # Safety
/// The type is `repr(C)`, has no padding, and every bit pattern is valid.
pub unsafe trait Record: Copy + 'static {}

macro_rules! records {
    ($($record:ty),+ $(,)?) => {
        $(
            // SAFETY: `repr(C)` of integers; `abi` declares padding as fields and asserts the sizes.
            unsafe impl Record for $record {}
        )+
    };
}

records!(
    u16,
    u32,
    u64,
    Ip,
    Address,
    Admission,
    CopyTarget,
    CopyMetadata,
    Counter,
    Bucket,
    Event,
    Network,
    PortSetting,
    ProxyKey,
    Sampling,
    Span,
    Stack,
    Trace,
);

/// The kernel's `bpf_lpm_trie_key`: the length of a prefix in bits, then its address in network order.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub struct PrefixKey {
    pub bits: u32,
    pub address: [u64; 2],
}

// SAFETY: as above.
unsafe impl Record for PrefixKey {}

/// A [`Record`] as an `aya::Pod`.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Raw<T: Record>(pub T);

// SAFETY: every bit pattern is a valid `Record`.
unsafe impl<T: Record> aya::Pod for Raw<T> {}

/// The bytes of a slice of records.
pub fn bytes<T: Record>(records: &[T]) -> &[u8] {
    // SAFETY: a `Record` has no padding, so that every byte is initialised; the length is the slice's.
    unsafe { std::slice::from_raw_parts(records.as_ptr().cast(), size_of_val(records)) }
}

/// A record from its bytes; `None` if there are too few.
pub fn record<T: Record>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: long enough, checked; any bytes are a valid `Record`; the read does not ask for alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Values of a per-processor map: `processors` values for each key.
pub struct Counters<'a> {
    pub counters: &'a [Counter],
    pub processors: usize,
}

//! Records as the bytes that the kernel takes.

use cordon_verdict::Ip;
use cordon_verdict::abi::cuckoo::Bucket;
use cordon_verdict::abi::{
    Address, Admission, CopyTarget, CopyMetadata, Counter, Event, Network, PortSetting, ProxyKey, Sampling,
    Span, Stack, Trace,
};

/// A record that is its bytes: `repr(C)`, no padding, every bit pattern valid.
///
/// # Safety
/// Exactly that.
pub unsafe trait Record: Copy + 'static {}

macro_rules! records {
    ($($record:ty),+ $(,)?) => {
        $(
            // SAFETY: `repr(C)` of integers, padding written out and sizes asserted in `abi`.
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

/// Bits of a prefix, then its address in network order: the kernel's `bpf_lpm_trie_key`.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub struct PrefixKey {
    pub bits: u32,
    pub address: [u64; 2],
}

// SAFETY: as above.
unsafe impl Record for PrefixKey {}

/// A [`Record`] that aya takes as well.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Raw<T: Record>(pub T);

// SAFETY: a `Record` is valid as any bytes of its size.
unsafe impl<T: Record> aya::Pod for Raw<T> {}

/// The bytes of records in a row.
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

/// Values of a per-processor map: for each element, one a processor.
pub struct Counters<'a> {
    pub counters: &'a [Counter],
    pub processors: usize,
}

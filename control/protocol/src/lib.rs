//! Types that cross a wire.

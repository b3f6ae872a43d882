//! On the way of a request memory is taken by one thread and given back by another. With jemalloc a durable write over HTTP takes a
//! fifth less time of a processor than with glibc's allocator (`benches/http_write`), and idle threads give back what a burst took.

#[cfg(all(feature = "jemalloc", not(any(target_env = "msvc", target_env = "musl"))))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

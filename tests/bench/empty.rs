//! A Rust program that does nothing: what starting a process costs here, before anything is asked of it.

fn main() {}

//! A Rust program that does nothing: the cost of starting a process on this machine.

fn main() {}

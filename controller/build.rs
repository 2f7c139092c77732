//! Has the console's files looked at again when they change. It builds nothing: `make console` does, and without Node the
//! program is built all the same, with a page that says so.

fn main() {
    println!("cargo:rerun-if-changed=console/dist");
}

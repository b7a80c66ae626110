//! What a call costs through each door.

use criterion::{Criterion, criterion_group, criterion_main};
use slotwise_benches::doors::{self, Call};

fn calls(criterion: &mut Criterion) {
    let mut doors = doors::open().expect("the doors that are named can be opened");
    for call in Call::ALL {
        let mut group = criterion.benchmark_group(format!("call/{}", call.name()));
        for door in &mut doors {
            group.bench_function(door.name(), |bencher| {
                bencher.iter_custom(|times| door.time(call, times).expect("the door answers"));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, calls);
criterion_main!(benches);

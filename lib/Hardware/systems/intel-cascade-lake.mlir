// intel-cascade-lake: Xeon with AVX-512 and VNNI, without BF16 and AMX.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A server core of the second Xeon Scalable generation, as met in virtual
// machines. Documented: Intel's optimization manual and the product pages.
hw.system @intel_cascade_lake (
    summary = "Intel Xeon with AVX-512 VNNI, no AMX") {
  hw.device @cpu (codegen = x86_64, cpu = "cascadelake",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave", "avx512f",
                  "avx512bw", "avx512cd", "avx512dq", "avx512vl",
                  "avx512vnni"],
      price = 0.4 USD/h assumed, watts = 165 W documented) {
    hw.memory @dram (kind = main, bytes = 64 GiB assumed,
        read = 110 GB/s assumed, write = 60 GB/s assumed,
        nt_write = 80 GB/s assumed, worker_read = 12 GB/s assumed,
        worker_write = 7 GB/s assumed, worker_nt_write = 10 GB/s assumed,
        latency = 90 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 16 MiB assumed, read = 200 GB/s assumed,
        write = 120 GB/s assumed, worker_read = 20 GB/s assumed,
        worker_write = 14 GB/s assumed, latency = 22 ns assumed, line = 64,
        energy = 12 pJ/B assumed)
    hw.worker @core x 8 (clock = 3.1 GHz assumed, registers = 32 x 512 bit) {
      hw.memory @l2 (bytes = 1 MiB documented, read = 130 GB/s assumed,
          write = 70 GB/s assumed, latency = 4.5 ns documented, line = 64,
          energy = 4 pJ/B assumed)
      hw.memory @l1 (bytes = 32 KiB documented, read = 330 GB/s assumed,
          write = 160 GB/s assumed, latency = 1.6 ns documented, line = 64,
          energy = 1 pJ/B assumed)
      hw.atom @fma 1 x 16 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 4 cycles documented, from = @l1,
          energy = 8 pJ assumed, needs = ["avx512f"])
      hw.atom @fma_f64 1 x 8 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 4 cycles documented, from = @l1,
          energy = 16 pJ assumed, needs = ["avx512f"])
      hw.atom @vnni 1 x 16 x 4 ui8, i8 -> i32 (instruction = "x86.vpdpbusd",
          per_cycle = 2 documented, latency = 5 cycles documented, from = @l1,
          energy = 1 pJ assumed, needs = ["avx512vnni"])
    }
    hw.sync (cost = 170 ns assumed, wake = 10 us assumed, counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 16 MiB assumed, denormal = 150 cycles documented,
        line_crossing = 0.5 documented, page = 4096)
  }
}

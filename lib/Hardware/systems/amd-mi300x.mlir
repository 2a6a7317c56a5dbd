// amd-mi300x: one AMD Instinct MI300X (CDNA 3).
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Documented: AMD's CDNA 3 paper and data sheet (dense figures). A worker is a
// compute unit; eight dies of 38 units have an L2 each and share the
// Infinity Cache.
hw.system @amd_mi300x (summary = "AMD Instinct MI300X, 304 compute units") {
  hw.memory @host (kind = main, bytes = 256 GiB assumed,
      read = 200 GB/s assumed,
      worker_read = 55 GB/s assumed, latency = 1.5 us assumed, line = 64,
      energy = 120 pJ/B assumed)
  hw.device @gpu (codegen = amdgpu, cpu = "gfx942",
      price = 2.5 USD/h assumed, watts = 750 W documented,
      idle_watts = 140 W assumed) {
    hw.memory @hbm (kind = main, bytes = 192 GB documented,
        read = 5.3 TB/s documented, worker_read = 40 GB/s assumed,
        latency = 700 ns assumed, line = 128, energy = 45 pJ/B assumed)
    hw.memory @infinity_cache (bytes = 256 MiB documented,
        read = 17.2 TB/s documented, worker_read = 60 GB/s assumed,
        latency = 300 ns assumed, line = 128, energy = 20 pJ/B assumed)
    hw.device @xcd x 8 {
      hw.memory @l2 (bytes = 4 MiB documented, read = 4.3 TB/s documented,
          write = 2.15 TB/s documented, worker_read = 134 GB/s documented,
          worker_write = 134 GB/s documented, latency = 120 ns assumed,
          line = 128, energy = 12 pJ/B assumed)
      hw.worker @cu x 38 (kind = "cu", clock = 2.1 GHz documented,
          registers = 131072 x 32 bit, subgroup = 64, threads = 2048) {
        hw.memory @l1 (bytes = 32 KiB documented, read = 134 GB/s documented,
            latency = 60 ns assumed, line = 128, energy = 3 pJ/B assumed)
        hw.memory @lds (kind = scratchpad, bytes = 64 KiB documented,
            read = 269 GB/s documented, latency = 30 ns assumed, line = 128,
            energy = 2 pJ/B assumed)
        hw.atom @fma 1 x 128 x 1 f32, f32 -> f32 (instruction = "vector.fma",
            per_cycle = 1 documented, latency = 8 cycles assumed,
            from = @lds, energy = 2 pJ assumed)
        hw.atom @mfma_f32 32 x 32 x 2 f32, f32 -> f32
           (instruction = "rocdl.mfma.f32.32x32x2f32",
            per_cycle = 1/16 documented, latency = 64 cycles documented,
            from = @lds, energy = 2 pJ assumed)
        hw.atom @mfma_bf16 32 x 32 x 8 bf16, bf16 -> f32
           (instruction = "rocdl.mfma.f32.32x32x8bf16.1k",
            per_cycle = 1/8 documented, latency = 32 cycles documented,
            from = @lds, energy = 0.6 pJ assumed)
        hw.atom @mfma_f16 32 x 32 x 8 f16, f16 -> f32
           (instruction = "rocdl.mfma.f32.32x32x8f16",
            per_cycle = 1/8 documented, latency = 32 cycles documented,
            from = @lds, energy = 0.6 pJ assumed)
        hw.atom @mfma_f8 32 x 32 x 16 f8E4M3FNUZ, f8E4M3FNUZ -> f32
           (instruction = "rocdl.mfma.f32.32x32x16.fp8.fp8",
            per_cycle = 1/8 documented, latency = 32 cycles documented,
            from = @lds, energy = 0.3 pJ assumed)
        hw.atom @mfma_i8 32 x 32 x 16 i8, i8 -> i32
           (instruction = "rocdl.mfma.i32.32x32x16.i8",
            per_cycle = 1/8 documented, latency = 32 cycles documented,
            from = @lds, energy = 0.3 pJ assumed)
      }
    }
    hw.mover @sdma x 2 (from = @host, to = @hbm, bandwidth = 55 GB/s assumed,
        latency = 5 us assumed)
    hw.sync (cost = 1.5 us assumed, counter_stride = 128)
    hw.codegen (bypass_load = "nontemporal", denormal = 0 cycles documented,
        page = 2097152)
  }
  hw.link @pcie (from = @host, to = @gpu::@hbm, topology = point,
      bandwidth = 64 GB/s documented, latency = 1 us assumed)
}

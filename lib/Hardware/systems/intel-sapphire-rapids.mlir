// intel-sapphire-rapids: Xeon with AVX-512, BF16, FP16 and AMX tiles.
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Measured on a virtual machine with two such cores; what two cores cannot show
// (totals of shared levels) is documented or assumed. On this CPU the AVX-512
// BF16 dot product is half as fast as f32 FMA, while AMX is 15 times faster.
hw.system @intel_sapphire_rapids (summary = "Intel Xeon with AVX-512 and AMX") {
  hw.device @cpu (codegen = x86_64, cpu = "sapphirerapids",
      features = ["sse4.2", "popcnt", "cx16", "avx", "avx2", "bmi", "bmi2",
                  "f16c", "fma", "lzcnt", "movbe", "xsave", "avx512f",
                  "avx512bw", "avx512cd", "avx512dq", "avx512vl",
                  "avx512vnni", "avx512bf16", "avx512fp16", "avx512ifma",
                  "avx512vbmi", "avx512vbmi2", "avx512bitalg",
                  "avx512vpopcntdq", "avxvnni", "gfni", "vaes",
                  "vpclmulqdq", "amx-tile", "amx-bf16", "amx-int8"],
      price = 0.8 USD/h assumed, watts = 350 W documented) {
    hw.memory @dram (kind = main, bytes = 128 GiB assumed,
        read = 250 GB/s assumed, write = 130 GB/s assumed,
        nt_write = 200 GB/s assumed, worker_read = 15.7 GB/s measured,
        worker_write = 9.2 GB/s measured, worker_nt_write = 23 GB/s measured,
        latency = 120 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @l3 (bytes = 128 MiB measured, read = 460 GB/s assumed,
        write = 300 GB/s assumed, worker_read = 28.7 GB/s measured,
        worker_write = 18 GB/s assumed, latency = 33 ns assumed, line = 64,
        energy = 12 pJ/B assumed)
    hw.worker @core x 16 (clock = 3.25 GHz measured, registers = 32 x 512 bit,
        tile_registers = 8 x 8192 bit,
        loads = 2 documented, issue = 6 documented, broadcast_operand) {
      hw.memory @l2 (bytes = 2 MiB documented, read = 174 GB/s measured,
          write = 100 GB/s assumed, latency = 4.9 ns documented, line = 64,
          energy = 4 pJ/B assumed)
      hw.memory @l1 (bytes = 48 KiB documented, read = 331 GB/s measured,
          write = 200 GB/s documented, latency = 1.5 ns documented,
          line = 64, ways = 12, energy = 1 pJ/B assumed)
      hw.costs (convert = 1 cycles assumed, shuffle = 1 cycles assumed,
          transpose = 2 cycles assumed, fold = 12 cycles assumed,
          gather = 1.5 cycles assumed, scatter = 2.5 cycles assumed,
          translations = 64 assumed, page_miss = 2 cycles assumed,
          evicted = 4 cycles assumed, held = 0.75 assumed,
          unhidden = 0.1 assumed, unhidden_memory = 0.2 assumed,
          tile = 50 ns assumed)
      hw.atom @fma 1 x 16 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 2 measured, latency = 4 cycles documented, from = @l1,
          energy = 8 pJ assumed, needs = ["avx512f"])
      hw.atom @fma_f64 1 x 8 x 1 f64, f64 -> f64 (instruction = "vector.fma",
          per_cycle = 2 documented, latency = 4 cycles documented, from = @l1,
          energy = 16 pJ assumed, needs = ["avx512f"])
      hw.atom @fma_f16 1 x 32 x 1 f16, f16 -> f16 (instruction = "vector.fma",
          per_cycle = 2 measured, latency = 4 cycles documented, from = @l1,
          energy = 4 pJ assumed, needs = ["avx512fp16"])
      hw.atom @dot_bf16 1 x 16 x 2 bf16, bf16 -> f32
         (instruction = "x86.vdpbf16ps", per_cycle = 0.51 measured,
          latency = 6 cycles documented, from = @l1, energy = 3 pJ assumed,
          needs = ["avx512bf16"])
      hw.atom @vnni 1 x 16 x 4 ui8, i8 -> i32 (instruction = "x86.vpdpbusd",
          per_cycle = 1.47 measured, latency = 5 cycles documented, from = @l1,
          energy = 1 pJ assumed, needs = ["avx512vnni"])
      hw.atom @tile_bf16 16 x 16 x 32 bf16, bf16 -> f32
         (instruction = "x86.tdpbf16ps", per_cycle = 0.0594 measured,
          latency = 52 cycles documented, operands = tile_registers,
          from = @l1, energy = 0.6 pJ assumed, needs = ["amx-tile", "amx-bf16"])
      hw.atom @tile_i8 16 x 16 x 64 i8, i8 -> i32
         (instruction = "x86.tdpbssd", per_cycle = 0.0585 measured,
          latency = 52 cycles documented, operands = tile_registers,
          from = @l1, energy = 0.3 pJ assumed, needs = ["amx-tile", "amx-int8"])
      hw.atom @tile_u8i8 16 x 16 x 64 ui8, i8 -> i32
         (instruction = "x86.tdpbusd", per_cycle = 0.0585 measured,
          latency = 52 cycles documented, operands = tile_registers,
          from = @l1, energy = 0.3 pJ assumed, needs = ["amx-tile", "amx-int8"])
    }
    hw.sync (cost = 173 ns measured, wake = 8.1 us measured,
        counter_stride = 64)
    hw.codegen (nt_store_fence = "sfence", prefetch_distance = 512 B assumed,
        nt_store_from = 32 MiB assumed, denormal = 150 cycles documented,
        line_crossing = 0.5 documented, page = 4096,
        flushes_denormals = ["dot_bf16", "tile_bf16"])
  }
}

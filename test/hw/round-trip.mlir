// RUN: headrace-opt %s --verify-roundtrip | FileCheck %s
// RUN: headrace-opt %s --mlir-print-op-generic | headrace-opt | FileCheck %s

// Every op with every field; counts of one are not printed.

// CHECK-LABEL: hw.system @everything (summary = "a test", price = 0.1 USD/h assumed, watts = 50 W assumed)
hw.system @everything (summary = "a test", price = 0.10 USD/h assumed,
                       watts = 50 W assumed) {
  // CHECK: hw.memory @host (kind = main, bytes = 256 GiB assumed, read = 200 GB/s assumed)
  hw.memory @host (kind = main, bytes = 256 GiB assumed,
                   read = 200 GB/s assumed)
  // CHECK: hw.device @cpu x 2 (codegen = x86_64, triple = "x86_64-linux-gnu", cpu = "x86-64-v4", features = ["avx512f", "amx-tile"], price = 0.5 USD/h assumed, watts = 100 W documented, idle_watts = 20 W assumed, numa = 2) {
  hw.device @cpu x 2 (codegen = x86_64, triple = "x86_64-linux-gnu",
      cpu = "x86-64-v4", features = ["avx512f", "amx-tile"],
      price = 0.5 USD/h assumed, watts = 100 W documented,
      idle_watts = 20 W assumed, numa = 2) {
    // CHECK-NEXT: hw.memory @dram (kind = main, bytes = 24 GiB documented, read = 32 GB/s measured, write = 18 GB/s measured, nt_write = 46 GB/s measured, worker_read = 16 GB/s measured, worker_write = 9 GB/s measured, worker_nt_write = 23 GB/s measured, latency = 110 ns assumed, line = 64, energy = 120 pJ/B assumed)
    hw.memory @dram (kind = main, bytes = 24 GiB documented,
        read = 32 GB/s measured, write = 18 GB/s measured,
        nt_write = 46 GB/s measured, worker_read = 16 GB/s measured,
        worker_write = 9 GB/s measured, worker_nt_write = 23 GB/s measured,
        latency = 110 ns assumed, line = 64, energy = 120 pJ/B assumed)
    // CHECK-NEXT: hw.device @ccx x 4 {
    hw.device @ccx x 4 {
      // CHECK-NEXT: hw.memory @l3 (kind = cache, bytes = 32 MiB documented, read = 800 GB/s assumed)
      hw.memory @l3 (kind = cache, bytes = 32 MiB documented,
                     read = 800 GB/s assumed)
      // CHECK-NEXT: hw.worker @core x 8 (kind = "big", clock = 3.5 GHz measured, registers = 32 x 512 bit, tile_registers = 8 x 8192 bit, smt = 2, subgroup = 1, threads = 2) {
      hw.worker @core x 8 (kind = "big", clock = 3.5 GHz measured,
          registers = 32 x 512 bit, tile_registers = 8 x 8192 bit, smt = 2,
          subgroup = 1, threads = 2) {
        // CHECK-NEXT: hw.memory @sram (kind = scratchpad
        hw.memory @sram (kind = scratchpad, bytes = 48 KiB documented,
                         read = 333 GB/s measured)
        // CHECK-NEXT: hw.mover @dma x 2 (from = @dram, to = @sram, bandwidth = 20 GB/s documented, latency = 1 us assumed, outstanding = 8)
        hw.mover @dma x 2 (from = @dram, to = @sram,
            bandwidth = 20 GB/s documented, latency = 1 us assumed,
            outstanding = 8)
        // CHECK-NEXT: hw.atom @tile 16 x 16 x 32 bf16, bf16 -> f32 (instruction = "x86.tdpbf16ps", per_cycle = 1/16 documented, latency = 52 cycles documented, operands = tile_registers, from = @sram, energy = 0.6 pJ assumed, needs = ["amx-tile"])
        hw.atom @tile 16 x 16 x 32 bf16, bf16 -> f32
           (instruction = "x86.tdpbf16ps", per_cycle = 1/16 documented,
            latency = 52 cycles documented, operands = tile_registers,
            from = @sram, energy = 0.6 pJ assumed, needs = ["amx-tile"])
        // CHECK-NEXT: hw.atom @scaled 16 x 8 x 64 f4E2M1FN, i8 -> f32 (instruction = "x", a_scale = f8E8M0FNU per 32, b_scale = f32 per 128, per_cycle = 0.3 assumed)
        hw.atom @scaled 16 x 8 x 64 f4E2M1FN, i8 -> f32 (instruction = "x",
            a_scale = f8E8M0FNU per 32, b_scale = f32 per 128,
            per_cycle = 0.3 assumed)
      }
    }
    // CHECK: hw.sync (cost = 170 ns measured, wake = 8 us measured, counter_stride = 128)
    hw.sync (cost = 170 ns measured, wake = 8 us measured,
             counter_stride = 128)
    // CHECK-NEXT: hw.codegen (nt_store_fence = "sfence", async_fence = "fence", bypass_load = "nta", prefetch_distance = 512 B assumed, nt_store_from = 4 MiB measured, denormal = 150 cycles assumed, line_crossing = 0.5 measured, page = 4096, flushes_denormals = ["tile"])
    hw.codegen (nt_store_fence = "sfence", async_fence = "fence",
        bypass_load = "nta", prefetch_distance = 512 B assumed,
        nt_store_from = 4 MiB measured, denormal = 150 cycles assumed,
        line_crossing = 0.5 measured, page = 4096,
        flushes_denormals = ["tile"])
  }
  // CHECK: hw.link @pcie x 2 (from = @host, to = @cpu::@dram, topology = all_to_all, bandwidth = 64 GB/s documented, latency = 1 us assumed, half_duplex)
  hw.link @pcie x 2 (from = @host, to = @cpu::@dram, topology = all_to_all,
      bandwidth = 64 GB/s documented, latency = 1 us assumed, half_duplex)
}

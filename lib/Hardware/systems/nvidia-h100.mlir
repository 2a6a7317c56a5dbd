// nvidia-h100: one NVIDIA H100 (Hopper, SXM).
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Documented: NVIDIA's architecture paper and data sheet (dense figures). A
// worker is a streaming multiprocessor. wgmma is the warpgroup instruction; a
// and b come from shared memory.
hw.system @nvidia_h100 (summary = "NVIDIA H100 SXM, 132 SMs") {
  hw.memory @host (kind = main, bytes = 256 GiB assumed,
      read = 200 GB/s assumed,
      worker_read = 55 GB/s assumed, latency = 1.5 us assumed, line = 64,
      energy = 120 pJ/B assumed)
  hw.device @gpu (codegen = nvptx, cpu = "sm_90a",
      features = ["ptx80", "sm_90a"], price = 2.5 USD/h assumed,
      watts = 700 W documented, idle_watts = 80 W assumed) {
    hw.memory @hbm (kind = main, bytes = 80 GB documented,
        read = 3.35 TB/s documented, worker_read = 70 GB/s assumed,
        latency = 550 ns assumed, line = 128, energy = 45 pJ/B assumed)
    hw.memory @l2 (bytes = 50 MiB documented, read = 5.5 TB/s assumed,
        write = 4 TB/s assumed, worker_read = 117 GB/s assumed,
        worker_write = 110 GB/s assumed, latency = 150 ns assumed, line = 128,
        energy = 15 pJ/B assumed)
    hw.worker @sm x 132 (kind = "sm", clock = 1.83 GHz documented,
        registers = 65536 x 32 bit, subgroup = 32, threads = 2048) {
      hw.memory @smem (kind = scratchpad, bytes = 227 KiB documented,
          read = 234 GB/s documented, latency = 16 ns assumed, line = 128,
          energy = 2 pJ/B assumed)
      hw.mover @tma (from = @hbm, to = @smem, bandwidth = 70 GB/s assumed,
          latency = 600 ns assumed, outstanding = 64)
      hw.atom @fma 1 x 128 x 1 f32, f32 -> f32 (instruction = "vector.fma",
          per_cycle = 1 documented, latency = 4 cycles documented,
          from = @smem, energy = 2 pJ assumed)
      hw.atom @mma_bf16 16 x 8 x 16 bf16, bf16 -> f32
         (instruction = "nvvm.mma.sync", per_cycle = 0.6 assumed,
          latency = 33 cycles assumed, from = @smem, energy = 0.5 pJ assumed)
      hw.atom @wgmma_tf32 64 x 256 x 8 tf32, tf32 -> f32
         (instruction = "nvvm.wgmma", per_cycle = 1/128 documented,
          latency = 128 cycles assumed, operands = shared_memory,
          from = @smem, energy = 1 pJ assumed)
      hw.atom @wgmma_bf16 64 x 256 x 16 bf16, bf16 -> f32
         (instruction = "nvvm.wgmma", per_cycle = 1/128 documented,
          latency = 128 cycles assumed, operands = shared_memory,
          from = @smem, energy = 0.5 pJ assumed)
      hw.atom @wgmma_f16 64 x 256 x 16 f16, f16 -> f32
         (instruction = "nvvm.wgmma", per_cycle = 1/128 documented,
          latency = 128 cycles assumed, operands = shared_memory,
          from = @smem, energy = 0.5 pJ assumed)
      hw.atom @wgmma_f8 64 x 256 x 32 f8E4M3FN, f8E4M3FN -> f32
         (instruction = "nvvm.wgmma", per_cycle = 1/128 documented,
          latency = 128 cycles assumed, operands = shared_memory,
          from = @smem, energy = 0.25 pJ assumed)
      hw.atom @wgmma_i8 64 x 256 x 32 i8, i8 -> i32
         (instruction = "nvvm.wgmma", per_cycle = 1/128 documented,
          latency = 128 cycles assumed, operands = shared_memory,
          from = @smem, energy = 0.25 pJ assumed)
    }
    hw.mover @copy_engine x 3 (from = @host, to = @hbm,
        bandwidth = 55 GB/s assumed, latency = 5 us assumed)
    hw.sync (cost = 1 us assumed, counter_stride = 128)
    hw.codegen (async_fence = "fence.proxy.async",
        bypass_load = "ld.global.nc.L1::no_allocate",
        denormal = 0 cycles documented, page = 2097152)
  }
  hw.link @pcie (from = @host, to = @gpu::@hbm, topology = point,
      bandwidth = 64 GB/s documented, latency = 1 us assumed)
}

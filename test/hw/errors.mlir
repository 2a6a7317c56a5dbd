// RUN: headrace-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{expected a device with 'codegen' that has a worker}}
hw.system @empty

// -----

hw.system @s {
  // expected-error @+1 {{expected a unit, or 'measured', 'documented' or 'assumed', after the number}}
  hw.memory @m (bytes = 1, read = 1 GB/s assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected 'measured', 'documented' or 'assumed' after the figure}}
  hw.memory @m (bytes = 1 GiB, read = 1 GB/s assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{unknown unit 'GB/h'}}
  hw.memory @m (bytes = 1 GiB assumed, read = 1 GB/h assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected 'read' in bytes per second, but got hertz}}
  hw.memory @m (bytes = 1 GiB assumed, read = 1 GHz assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{unknown field 'bandwidth', expected one of kind, bytes, read, write, nt_write, worker_read, worker_write, worker_nt_write, latency, line, ways, energy}}
  hw.memory @m (bytes = 1 GiB assumed, bandwidth = 1 GB/s assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{field 'bytes' given twice}}
  hw.memory @m (bytes = 1 GiB assumed, bytes = 1 GiB assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected a field 'read'}}
  hw.memory @m (bytes = 1 GiB assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected one of cache, scratchpad, main, but got 'ram'}}
  hw.memory @m (kind = ram, bytes = 1 GiB assumed, read = 1 GB/s assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected 'bytes' to be positive but got 0 B assumed}}
  hw.memory @m (bytes = 0 B assumed, read = 1 GB/s assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected 'latency' to be zero or more but got -1 ns assumed}}
  hw.memory @m (bytes = 1 B assumed, read = 1 GB/s assumed, latency = -1 ns assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected 'line' to be a power of two but got 48}}
  hw.memory @m (bytes = 1 GiB assumed, read = 1 GB/s assumed, line = 48)
}

// -----

hw.system @s {
  // expected-error @+1 {{expected 'worker_read' to be at most 'read', but 2 GB/s assumed is above 1 GB/s measured}}
  hw.memory @m (bytes = 1 GiB assumed, read = 1 GB/s measured, worker_read = 2 GB/s assumed)
}

// -----

hw.system @s {
  // expected-error @+1 {{'hw.memory' op expected 'bytes' in bytes, but got hertz}}
  "hw.memory"() {sym_name = "m", bytes = #hw.figure<1 GHz assumed>, read = #hw.figure<1 GB/s assumed>} : () -> ()
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    // expected-note @+1 {{@l1 has 1 ns assumed; memories are listed from the outermost inward}}
    hw.memory @l1 (bytes = 1 KiB assumed, read = 1 GB/s assumed, latency = 1 ns assumed)
    // expected-error @+1 {{is inside of @l1 but its latency is higher: 5 ns assumed}}
    hw.memory @l2 (bytes = 1 KiB assumed, read = 1 GB/s assumed, latency = 5 ns assumed)
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
  }
}

// -----

hw.system @s {
  // expected-error @+1 {{expected a count of 1 or more but got 0}}
  hw.device @d x 0 (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
  }
}

// -----

hw.system @s {
  // expected-error @+1 {{expected one of x86_64, aarch64, nvptx, amdgpu, but got 'sparc'}}
  hw.device @d (codegen = sparc)
}

// -----

hw.system @s {
  // expected-error @+1 {{has 'triple', 'cpu' or 'features' but no 'codegen' that uses them}}
  hw.device @d (cpu = "znver5") {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
  }
}

// -----

hw.system @s {
  // expected-note @+1 {{the outer device is here}}
  hw.device @outer (codegen = x86_64) {
    // expected-error @+1 {{has 'codegen' inside a device that has it too}}
    hw.device @inner (codegen = x86_64) {
      hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
    }
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
    // expected-note @+1 {{the first is here}}
    hw.sync (cost = 1 ns assumed)
    // expected-error @+1 {{expected at most one in a device}}
    hw.sync (cost = 2 ns assumed)
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    // expected-error @+1 {{expected 'registers' to be positive but got 0 x 512}}
    hw.worker @w (clock = 1 GHz assumed, registers = 0 x 512 bit)
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit) {
      // expected-error @+1 {{expected a shape of positive sizes but got 1 x 0 x 1}}
      hw.atom @a 1 x 0 x 1 f32, f32 -> f32 (instruction = "vector.fma", per_cycle = 1 assumed)
    }
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit) {
      // expected-error @+1 {{has its operands in tile registers, but worker @w has none}}
      hw.atom @a 1 x 1 x 1 f32, f32 -> f32 (instruction = "t", per_cycle = 1 assumed, operands = tile_registers)
    }
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit) {
      // expected-error @+1 {{refers to memory @l9, which is not in scope}}
      hw.atom @a 1 x 1 x 1 f32, f32 -> f32 (instruction = "t", per_cycle = 1 assumed, from = @l9)
    }
  }
}

// -----

hw.system @s {
  // expected-note @+1 {{the device is here}}
  hw.device @d (codegen = x86_64, features = ["avx2"]) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit) {
      // expected-error @+1 {{needs feature "avx512f", which its device does not list}}
      hw.atom @a 1 x 1 x 1 f32, f32 -> f32 (instruction = "t", per_cycle = 1 assumed, needs = ["avx512f"])
    }
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
    // expected-error @+1 {{refers to memory @b, which is not in scope}}
    hw.mover @m (from = @b, to = @b, bandwidth = 1 GB/s assumed)
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
  }
  // expected-error @+1 {{expected a path to a memory, but there is none at @d::@w}}
  hw.link @l (from = @d::@w, to = @d::@w, bandwidth = 1 GB/s assumed)
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit)
    // expected-error @+1 {{names atom "tile" in 'flushes_denormals', but its device has no such atom}}
    hw.codegen (flushes_denormals = ["tile"])
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit) {
      // expected-note @+1 {{the first is here}}
      hw.costs (gather = 1 cycles assumed)
      // expected-error @+1 {{expected at most one in a worker}}
      hw.costs (gather = 2 cycles assumed)
    }
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit) {
      // expected-error @+1 {{expected 'held' to be at most 1}}
      hw.costs (held = 1.5 assumed)
    }
  }
}

// -----

hw.system @s {
  hw.device @d (codegen = x86_64) {
    hw.worker @w (clock = 1 GHz assumed, registers = 1 x 32 bit) {
      // expected-error @+1 {{expected 'ways' to be positive but got 0}}
      hw.memory @l1 (bytes = 32 KiB assumed, read = 1 GB/s assumed, ways = 0)
    }
  }
}

// What a saved plan says is checked when it is read again: that it names memories
// which the machine has and that hold what is handed over there, and says so of
// every value.

// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-verify-plans{target=amd-zen3})' --verify-diagnostics

func.func @unknown(%x: tensor<64x64xf32> {hr.name = "x"}) -> tensor<64x64xf32> {
  // expected-error @+1 {{value 0 of nest 0 is handed over in 'l4', a memory that worker 'core' does not have}}
  %0 = hr.stage @softened(%x) {plan = #hr.plan<tile = [8, 0, 0], lanes = 8, stream = 128,
      nests = [#hr.nest<vector = 1, vectors = 4, row = -1, rows = 1, block = 0>, #hr.nest<vector = 1, vectors = 1, row = -1, rows = 1, block = 0>],
      nanoseconds = 1, runner_up = "", edges = [#hr.edge<nest = 0, value = 0, memory = "l4", bytes = 32>]>} : (tensor<64x64xf32>) -> tensor<64x64xf32> {
  ^bb0(%a: tensor<64x64xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
    %e2 = tensor.empty() : tensor<64x64xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
        ins(%a : tensor<64x64xf32>) outs(%f : tensor<64xf32>) {
    ^bb0(%p: f32, %o: f32):
      %q = arith.addf %p, %o : f32
      linalg.yield %q : f32
    } -> tensor<64xf32>
    %d = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
        ins(%a, %s : tensor<64x64xf32>, tensor<64xf32>) outs(%e2 : tensor<64x64xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %r = arith.divf %p, %q : f32
      linalg.yield %r : f32
    } -> tensor<64x64xf32>
    hr.yield %d : tensor<64x64xf32>
  }
  return %0 : tensor<64x64xf32>
}

// -----

func.func @large(%x: tensor<64x64xf32> {hr.name = "x"}) -> tensor<64x64xf32> {
  // expected-error @+1 {{value 0 of nest 0 has 65536 bytes, but 'l1' holds 32768}}
  %0 = hr.stage @softened(%x) {plan = #hr.plan<tile = [8, 0, 0], lanes = 8, stream = 128,
      nests = [#hr.nest<vector = 1, vectors = 4, row = -1, rows = 1, block = 0>, #hr.nest<vector = 1, vectors = 1, row = -1, rows = 1, block = 0>],
      nanoseconds = 1, runner_up = "", edges = [#hr.edge<nest = 0, value = 0, memory = "l1", bytes = 65536>]>} : (tensor<64x64xf32>) -> tensor<64x64xf32> {
  ^bb0(%a: tensor<64x64xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
    %e2 = tensor.empty() : tensor<64x64xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
        ins(%a : tensor<64x64xf32>) outs(%f : tensor<64xf32>) {
    ^bb0(%p: f32, %o: f32):
      %q = arith.addf %p, %o : f32
      linalg.yield %q : f32
    } -> tensor<64xf32>
    %d = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
        ins(%a, %s : tensor<64x64xf32>, tensor<64xf32>) outs(%e2 : tensor<64x64xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %r = arith.divf %p, %q : f32
      linalg.yield %r : f32
    } -> tensor<64x64xf32>
    hr.yield %d : tensor<64x64xf32>
  }
  return %0 : tensor<64x64xf32>
}

// -----

func.func @silent(%x: tensor<64x64xf32> {hr.name = "x"}) -> tensor<64x64xf32> {
  // expected-error @+1 {{the plan does not say once where value 0 of nest 0 is handed over}}
  %0 = hr.stage @softened(%x) {plan = #hr.plan<tile = [8, 0, 0], lanes = 8, stream = 128,
      nests = [#hr.nest<vector = 1, vectors = 4, row = -1, rows = 1, block = 0>, #hr.nest<vector = 1, vectors = 1, row = -1, rows = 1, block = 0>],
      nanoseconds = 1, runner_up = "">} : (tensor<64x64xf32>) -> tensor<64x64xf32> {
  ^bb0(%a: tensor<64x64xf32>):
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
    %e2 = tensor.empty() : tensor<64x64xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}
        ins(%a : tensor<64x64xf32>) outs(%f : tensor<64xf32>) {
    ^bb0(%p: f32, %o: f32):
      %q = arith.addf %p, %o : f32
      linalg.yield %q : f32
    } -> tensor<64xf32>
    %d = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
        ins(%a, %s : tensor<64x64xf32>, tensor<64xf32>) outs(%e2 : tensor<64x64xf32>) {
    ^bb0(%p: f32, %q: f32, %o: f32):
      %r = arith.divf %p, %q : f32
      linalg.yield %r : f32
    } -> tensor<64x64xf32>
    hr.yield %d : tensor<64x64xf32>
  }
  return %0 : tensor<64x64xf32>
}

// -----

func.func @unplanned(%x: tensor<64x64xf32> {hr.name = "x"}) -> tensor<64x64xf32> {
  // expected-error @+1 {{the stage has no plan}}
  %0 = hr.stage @negated(%x) : (tensor<64x64xf32>) -> tensor<64x64xf32> {
  ^bb0(%a: tensor<64x64xf32>):
    %e = tensor.empty() : tensor<64x64xf32>
    %d = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
        ins(%a : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
    ^bb0(%p: f32, %o: f32):
      %r = arith.negf %p : f32
      linalg.yield %r : f32
    } -> tensor<64x64xf32>
    hr.yield %d : tensor<64x64xf32>
  }
  return %0 : tensor<64x64xf32>
}

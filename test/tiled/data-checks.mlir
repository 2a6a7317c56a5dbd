// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-tile-stages,canonicalize,cse)' | FileCheck %s

// A gather reads where all indices are good, by whole vectors; else it reports
// and reads nothing: there may be no element at all.

// CHECK: hr.sites = {{\[\[}}"embedding", "{{.+}}:{{[0-9]+}}", "index", true]]
// CHECK: func.func private @hr_stage_error(i64, i64, i64, i64) attributes {passthrough = ["cold"]}
// CHECK-LABEL: func.func private @rows(
// CHECK-SAME: %[[W:[^:]+]]: memref<?xf32>, %[[I:[^:]+]]: memref<?xi64>
// CHECK: %[[INDEX:.+]] = memref.load %[[I]]
// CHECK: %[[BAD:.+]] = arith.cmpi uge, %[[INDEX]]
// CHECK: %[[V:.+]] = scf.if %[[BAD]] -> (vector<4xf32>)
// CHECK-NOT: load %[[W]]
// CHECK: call @hr_stage_error
// CHECK-NOT: load %[[W]]
// CHECK: } else {
// CHECK-NEXT: vector.load %[[W]]
// CHECK: vector.store %[[V]]
func.func @embed(%w: tensor<?x8xf32> {hr.dims = [#hr.size<"s0">, #hr.size<"8">], hr.name = "w"},
    %i: tensor<64xi64> {hr.dims = [#hr.size<"64">], hr.name = "i"})
    -> (tensor<64x8xf32> {hr.dims = [#hr.size<"64">, #hr.size<"8">], hr.name = "y"})
    attributes {hr.symbols = [#hr.symbol<"s0", 0, 1000>]} {
  %0 = hr.stage @rows (%w, %i) {plan = #hr.plan<tile = [16, 0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 1, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<?x8xf32>, tensor<64xi64>) -> tensor<64x8xf32> {
  ^bb0(%a: tensor<?x8xf32>, %p: tensor<64xi64>):
    %g = hr.gather %a[%p] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
        dims [#hr.size<"64">, #hr.size<"8">] what "embedding" : tensor<?x8xf32>, (tensor<64xi64>) -> tensor<64x8xf32>
    hr.yield %g : tensor<64x8xf32>
  }
  return %0 : tensor<64x8xf32>
}

// -----

// Indices on lanes: a masked lane is never bad, and the gather stays a vector's.

// CHECK-LABEL: func.func private @take(
// CHECK-SAME: %[[X:[^:]+]]: memref<?xf32>, %[[I:[^:]+]]: memref<?xi64>
// CHECK: %[[MASK:.+]] = vector.constant_mask [3]
// CHECK: vector.maskedload %[[I]]
// CHECK: %[[CMP:.+]] = arith.cmpi uge, {{.+}} : vector<4xi64>
// CHECK: %[[BAD:.+]] = arith.andi %[[CMP]], %[[MASK]]
// CHECK: %[[ANY:.+]] = vector.reduction <or>, %[[BAD]]
// CHECK: scf.if %[[ANY]] -> (vector<4xf32>)
// CHECK: else
// CHECK: vector.gather %[[X]]{{.*}}, %[[MASK]]
func.func @lanes(%x: tensor<9xf32> {hr.dims = [#hr.size<"9">], hr.name = "x"},
    %i: tensor<3xi64> {hr.dims = [#hr.size<"3">], hr.name = "i"})
    -> (tensor<3xf32> {hr.dims = [#hr.size<"3">], hr.name = "y"}) {
  %0 = hr.stage @take (%x, %i) {plan = #hr.plan<tile = [0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 0, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<9xf32>, tensor<3xi64>) -> tensor<3xf32> {
  ^bb0(%a: tensor<9xf32>, %p: tensor<3xi64>):
    %g = hr.gather %a[%p] map affine_map<(d0) -> (0)> indices [affine_map<(d0) -> (d0)>] source_dims [0]
        dims [#hr.size<"3">] what "take" wrap : tensor<9xf32>, (tensor<3xi64>) -> tensor<3xf32>
    hr.yield %g : tensor<3xf32>
  }
  return %0 : tensor<3xf32>
}

// -----

// A scatter checks each index of its tile once, before it writes anything; the
// loop that writes has no check.

// CHECK-LABEL: func.func private @write(
// CHECK-SAME: %[[U:[^:]+]]: memref<?xf32>, %[[I:[^:]+]]: memref<?xi64>, %[[OUT:[^:]+]]: memref<?xf32>
// CHECK: %[[GOOD:.+]] = scf.for {{.+}} iter_args
// CHECK: memref.load %[[I]]
// CHECK: arith.cmpi uge
// CHECK: scf.if
// CHECK: call @hr_stage_error
// CHECK: scf.if %[[GOOD]]
// CHECK-NOT: arith.cmpi
// CHECK-NOT: call
// CHECK: vector.store %{{.+}}, %[[OUT]]
hr.state @cache : tensor<16x8xf32>
func.func @scatter(%u: tensor<5x8xf32> {hr.dims = [#hr.size<"5">, #hr.size<"8">], hr.name = "u"},
    %i: tensor<5xi64> {hr.dims = [#hr.size<"5">], hr.name = "i"}) {
  %old = hr.read_state [@cache] : tensor<16x8xf32>
  %0 = hr.stage @write (%u, %i, %old) {plan = #hr.plan<tile = [0, 0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 1, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<5x8xf32>, tensor<5xi64>, tensor<16x8xf32>) -> tensor<16x8xf32> {
  ^bb0(%a: tensor<5x8xf32>, %p: tensor<5xi64>, %b: tensor<16x8xf32>):
    %s = hr.scatter %a into %b[%p] combine replace map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
        what "index_copy" : tensor<5x8xf32>, tensor<16x8xf32>, (tensor<5xi64>) -> tensor<16x8xf32>
    hr.yield %s : tensor<16x8xf32>
  }
  hr.write_state %0, [@cache] : tensor<16x8xf32>
  return
}

// -----

// A divisor that is zero is reported, with the site's words, and divides nothing.

// CHECK: hr.sites = {{\[\[}}"remainder", "{{.+}}", "zero", false]]
// CHECK-LABEL: func.func private @rest(
// CHECK: %[[HOLDS:.+]] = arith.cmpi ne, {{.+}} : vector<4xi32>
// CHECK: %[[BAD:.+]] = arith.xori %[[HOLDS]]
// CHECK: %[[ANY:.+]] = vector.reduction <or>, %[[BAD]]
// CHECK: %[[SAFE:.+]] = scf.if %[[ANY]] -> (vector<4xi32>)
// CHECK-NOT: vector.extract
// CHECK: call @hr_stage_error
// CHECK: arith.select %[[HOLDS]]
// CHECK: arith.remui %{{.+}}, %[[SAFE]]
func.func @division(%x: tensor<8xi32> {hr.dims = [#hr.size<"8">], hr.name = "x"},
    %y: tensor<8xi32> {hr.dims = [#hr.size<"8">], hr.name = "y"})
    -> (tensor<8xi32> {hr.dims = [#hr.size<"8">], hr.name = "z"}) {
  %0 = hr.stage @rest (%x, %y) {plan = #hr.plan<tile = [0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 0, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<8xi32>, tensor<8xi32>) -> tensor<8xi32> {
  ^bb0(%a: tensor<8xi32>, %p: tensor<8xi32>):
    %e = tensor.empty() : tensor<8xi32>
    %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
        ins(%a, %p : tensor<8xi32>, tensor<8xi32>) outs(%e : tensor<8xi32>) {
    ^bb0(%n: i32, %d: i32, %o: i32):
      %zero = arith.constant 0 : i32
      %one = arith.constant 1 : i32
      %holds = arith.cmpi ne, %d, %zero : i32
      %safe = hr.check %holds, %d else %one what "remainder" message "zero" : i32
      %q = arith.remui %n, %safe : i32
      linalg.yield %q : i32
    } -> tensor<8xi32>
    hr.yield %r : tensor<8xi32>
  }
  return %0 : tensor<8xi32>
}

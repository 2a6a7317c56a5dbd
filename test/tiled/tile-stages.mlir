// RUN: headrace-opt %s --split-input-file --pass-pipeline='builtin.module(hr-tile-stages,canonicalize,cse)' | FileCheck %s

// A map over 10 elements in tiles of 8 with 4 lanes: whole vectors, then one
// masked; the footprint of a tile follows its coordinate.

// CHECK-LABEL: func.func private @negate(
// CHECK-SAME: %[[LO:[^:]+]]: index, %[[HI:[^:]+]]: index, %{{[^:]+}}: memref<?xi8>, %{{[^:]+}}: memref<?xi8>, %[[X:[^:]+]]: memref<?xf32>, %[[Y:[^:]+]]: memref<?xf32>)
// CHECK: scf.for %[[T:.+]] = %[[LO]] to %[[HI]]
// CHECK: vector.load %[[X]]
// CHECK: arith.negf {{.*}} : vector<4xf32>
// CHECK: vector.store %{{.+}}, %[[Y]]
// CHECK: vector.create_mask
// CHECK: vector.maskedload %[[X]]
// CHECK: vector.maskedstore %[[Y]]
// CHECK-LABEL: func.func @entry
// CHECK: %[[A:.+]] = hr.buffer input number 0 dims [#hr.size<"10">]
// CHECK: %[[B:.+]] = hr.buffer output number 0 dims [#hr.size<"10">]
// CHECK: hr.run @negate grid [#hr.size<"2">](%[[A]], %[[B]]) access [#hr<access read>, #hr<access write>]
// CHECK-SAME: footprints [#hr.footprint<(d0) -> (d0 * 8), [#hr.size<"8">]>, #hr.footprint<(d0) -> (d0 * 8), [#hr.size<"8">]>]
func.func @entry(%x: tensor<10xf32> {hr.dims = [#hr.size<"10">], hr.name = "x"}) -> (tensor<10xf32> {hr.dims = [#hr.size<"10">], hr.name = "y"}) {
  %0 = hr.stage @negate (%x) {plan = #hr.plan<tile = [8], lanes = 4, stream = 128, nests = [#hr.nest<vector = 0, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<10xf32>) -> tensor<10xf32> {
  ^bb0(%a: tensor<10xf32>):
    %e = tensor.empty() : tensor<10xf32>
    %n = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a : tensor<10xf32>) outs(%e : tensor<10xf32>) {
    ^bb0(%p: f32, %o: f32):
      %q = arith.negf %p : f32
      linalg.yield %q : f32
    } -> tensor<10xf32>
    hr.yield %n : tensor<10xf32>
  }
  return %0 : tensor<10xf32>
}

// -----

// What a repeat carries alternates between the slots of one buffer; its weights
// are the slots of another.

hr.weight @w0 : tensor<8xf32>
hr.weight @w1 : tensor<8xf32>
// CHECK-LABEL: func.func @layers
// CHECK-DAG: %[[IN:.+]] = hr.buffer input number 0
// CHECK-DAG: %[[OUT:.+]] = hr.buffer output number 0
// CHECK-DAG: %[[C:.+]] = hr.buffer temp slots 2
// CHECK-DAG: %[[W:.+]] = hr.buffer const of [@w0, @w1] slots 2
// CHECK: hr.run @first {{.*}}(%[[IN]], %[[C]])
// CHECK-SAME: slots [#[[ZERO:.+]], #[[ZERO]]]
// CHECK: hr.loop 2
// CHECK: hr.run @body {{.*}}(%[[C]], %[[W]], %[[C]])
// CHECK-SAME: slots [#[[HERE:.+]], #[[SLOT:.+]], #[[NEXT:.+]]]
// CHECK: hr.run @last {{.*}}(%[[C]], %[[OUT]])
func.func @layers(%x: tensor<8xf32> {hr.dims = [#hr.size<"8">], hr.name = "x"}) -> (tensor<8xf32> {hr.dims = [#hr.size<"8">], hr.name = "y"}) {
  %0 = hr.stage @first (%x) {plan = #hr.plan<tile = [0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 0, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%a: tensor<8xf32>):
    %e = tensor.empty() : tensor<8xf32>
    %n = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%p: f32, %o: f32):
      %q = arith.negf %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    hr.yield %n : tensor<8xf32>
  }
  %1 = hr.repeat 2 (%0) : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%i: index, %c: tensor<8xf32>):
    %w = hr.constant [@w0, @w1][%i] : tensor<8xf32>
    %2 = hr.stage @body (%c, %w) {plan = #hr.plan<tile = [0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 0, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
        : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32> {
    ^bb0(%a: tensor<8xf32>, %b: tensor<8xf32>):
      %e = tensor.empty() : tensor<8xf32>
      %n = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a, %b : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
      ^bb0(%p: f32, %r: f32, %o: f32):
        %q = arith.addf %p, %r : f32
        linalg.yield %q : f32
      } -> tensor<8xf32>
      hr.yield %n : tensor<8xf32>
    }
    hr.yield %2 : tensor<8xf32>
  }
  %3 = hr.stage @last (%1) {plan = #hr.plan<tile = [0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 0, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<8xf32>) -> tensor<8xf32> {
  ^bb0(%a: tensor<8xf32>):
    %e = tensor.empty() : tensor<8xf32>
    %n = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%a : tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%p: f32, %o: f32):
      %q = arith.negf %p : f32
      linalg.yield %q : f32
    } -> tensor<8xf32>
    hr.yield %n : tensor<8xf32>
  }
  return %3 : tensor<8xf32>
}

// -----

// A gather may read any row of its table, but a tile of 16 positions reads no
// more than 16 of them: predictions are told.

// CHECK-LABEL: func.func @embed
// CHECK: hr.run @rows grid [#hr.size<"4">]
// CHECK-SAME: footprints [#hr.footprint<(d0) -> (), [] touching <"128">>, #hr.footprint<(d0) -> (d0 * 16), [#hr.size<"16">]>, #hr.footprint<(d0) -> (d0 * 16, 0), [#hr.size<"16">, #hr.size<"8">]>]
func.func @embed(%w: tensor<1000x8xf32> {hr.dims = [#hr.size<"1000">, #hr.size<"8">], hr.name = "w"},
    %i: tensor<64xi64> {hr.dims = [#hr.size<"64">], hr.name = "i"})
    -> (tensor<64x8xf32> {hr.dims = [#hr.size<"64">, #hr.size<"8">], hr.name = "y"}) {
  %0 = hr.stage @rows (%w, %i) {plan = #hr.plan<tile = [16, 0], lanes = 4, stream = 128, nests = [#hr.nest<vector = 1, vectors = 1, row = -1, rows = 1, block = 0>], nanoseconds = 0, runner_up = "">}
      : (tensor<1000x8xf32>, tensor<64xi64>) -> tensor<64x8xf32> {
  ^bb0(%a: tensor<1000x8xf32>, %p: tensor<64xi64>):
    %g = hr.gather %a[%p] map affine_map<(d0, d1) -> (0, d1)> indices [affine_map<(d0, d1) -> (d0)>] source_dims [0, -1]
        dims [#hr.size<"64">, #hr.size<"8">] what "embedding" : tensor<1000x8xf32>, (tensor<64xi64>) -> tensor<64x8xf32>
    hr.yield %g : tensor<64x8xf32>
  }
  return %0 : tensor<64x8xf32>
}

// RUN: headrace-opt %s --hr-form-softmax-sum --split-input-file -mlir-print-op-on-diagnostic=false 2>/dev/null | FileCheck %s
// RUN: headrace-opt %s --split-input-file -mlir-print-op-on-diagnostic=false --hr-evaluate-entries="compare=hr-form-softmax-sum" -o /dev/null

// Normalized, then contracted.

// CHECK-LABEL: func.func @before
// CHECK-NOT: linalg.generic
// CHECK: hr.softmax_sum %arg0, %arg1 maps [#[[L:.+]], #[[V:.+]], #[[R:.+]]] dims [#hr.size<"3">, #hr.size<"4">]
// CHECK-NOT: zero_masked_rows
// CHECK-NOT: linalg.generic
func.func @before(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Contracted, then normalized, by an op that does more besides: that part of it
// stays.

// CHECK-LABEL: func.func @after
// CHECK: %[[S:.+]] = hr.softmax_sum %arg0, %arg1
// CHECK: linalg.generic
// CHECK-SAME: ins(%[[S]]
// CHECK-NOT: arith.divf
// CHECK: arith.negf
func.func @after(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %c = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%c, %l : tensor<3x4xf32>, tensor<3xf32>) outs(%e_3x4xf32 : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %q = arith.divf %a0, %a1 : f32
    %r = arith.negf %q : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// One op per step, the division as a product with a reciprocal.

// CHECK-LABEL: func.func @reciprocal
// CHECK-NOT: linalg.generic
// CHECK: hr.softmax_sum %arg0, %arg1
// CHECK-NOT: linalg.generic
func.func @reciprocal(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %d = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.subf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%d : tensor<3x5xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = math.exp %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %i = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%l : tensor<3xf32>) outs(%e_3xf32 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %one = arith.constant 1.0 : f32
    %r = arith.divf %one, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%i, %x : tensor<3xf32>, tensor<3x5xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.mulf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Rows that a mask hides wholly are zero instead of NaN: the op's flag. The
// mask is one of positions, inside of the ops that read the logits: it is made
// a tensor.

// CHECK-LABEL: func.func @masked
// CHECK: %[[E:.+]] = linalg.generic
// CHECK: arith.cmpi
// CHECK: arith.select
// CHECK: hr.softmax_sum %[[E]], %arg1
// CHECK-SAME: zero_masked_rows
func.func @masked(%e: tensor<3x5xf32> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xf32> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%e : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %h = arith.cmpi slt, %j, %i : index
    %inf = arith.constant 0xFF800000 : f32
    %s = arith.select %h, %a0, %inf : f32
    %r = arith.maximumf %o, %s : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %h = arith.cmpi slt, %j, %i : index
    %inf = arith.constant 0xFF800000 : f32
    %s = arith.select %h, %a0, %inf : f32
    %d = arith.subf %s, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l, %m : tensor<3x5xf32>, tensor<3xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %a2: f32, %o: f32):
    %inf = arith.constant 0xFF800000 : f32
    %z = arith.constant 0.0 : f32
    %c = arith.cmpf oeq, %a2, %inf : f32
    %q = arith.divf %a0, %a1 : f32
    %r = arith.select %c, %z, %q : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xf32>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %product = arith.mulf %a0, %a1 : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Narrow inputs, computed wide: the tensors are read as they are stored.

// CHECK-LABEL: func.func @narrow
// CHECK: hr.softmax_sum %arg0, %arg1
// CHECK-SAME: tensor<3x5xbf16>, tensor<5x4xbf16> -> tensor<3x4xf32>
func.func @narrow(%e: tensor<3x5xbf16> {hr.name = "e", hr.dims = [#hr.size<"3">, #hr.size<"5">]},
    %v: tensor<5x4xbf16> {hr.name = "v", hr.dims = [#hr.size<"5">, #hr.size<"4">]})
    -> (tensor<3x4xf32> {hr.name = "y", hr.dims = [#hr.size<"3">, #hr.size<"4">]}) {
  %e_3x5xf32 = tensor.empty() : tensor<3x5xf32>
  %e_3x4xf32 = tensor.empty() : tensor<3x4xf32>
  %e_3xf32 = tensor.empty() : tensor<3xf32>
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %f0 = linalg.fill ins(%zero : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fm = linalg.fill ins(%low : f32) outs(%e_3xf32 : tensor<3xf32>) -> tensor<3xf32>
  %fy = linalg.fill ins(%zero : f32) outs(%e_3x4xf32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%e : tensor<3x5xbf16>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: bf16, %o: f32):
    %r = arith.extf %a0 : bf16 to f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%w : tensor<3x5xf32>) outs(%fm : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.maximumf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%w, %m : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %d = arith.subf %a0, %a1 : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %l = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<3x5xf32>) outs(%f0 : tensor<3xf32>) {
  ^bb0(%a0: f32, %o: f32):
    %r = arith.addf %o, %a0 : f32
    linalg.yield %r : f32
  } -> tensor<3xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %l : tensor<3x5xf32>, tensor<3xf32>) outs(%e_3x5xf32 : tensor<3x5xf32>) {
  ^bb0(%a0: f32, %a1: f32, %o: f32):
    %r = arith.divf %a0, %a1 : f32
    linalg.yield %r : f32
  } -> tensor<3x5xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %v : tensor<3x5xf32>, tensor<5x4xbf16>) outs(%fy : tensor<3x4xf32>) {
  ^bb0(%a0: f32, %a1: bf16, %o: f32):
    %b = arith.extf %a1 : bf16 to f32
    %product = arith.mulf %a0, %b : f32
    %r = arith.addf %o, %product : f32
    linalg.yield %r : f32
  } -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// RUN: headrace-opt %s -math-expand-functions | FileCheck %s
// RUN: headrace-opt %s -math-expand-functions=fma=false | FileCheck %s --check-prefix=NOFMA
// RUN: headrace-opt %s -math-expand-functions=scalef=true | FileCheck %s --check-prefix=SCALEF

// The f32 functions of activations stay in f32 and have no branch.
// CHECK-LABEL: func @exp
// CHECK-NOT:     math.exp
// CHECK-NOT:     f64
// CHECK-NOT:     scf.
// CHECK:         math.fma {{.*}} : vector<16xf32>
// CHECK-NOT:     math.exp
// CHECK:         return
// NOFMA-LABEL: func @exp
// NOFMA-NOT:     math.fma
// NOFMA:         arith.extf {{.*}} : vector<16xf32> to vector<16xf64>
// NOFMA-NOT:     math.fma
// NOFMA:         return
// SCALEF-LABEL: func @exp
// SCALEF-NOT:    arith.shli
// SCALEF:        %[[R:.+]] = llvm.call_intrinsic "llvm.x86.avx512.mask.scalef.ps.512"
// SCALEF-NEXT:   return %[[R]]
func.func @exp(%x: vector<16xf32>) -> vector<16xf32> {
  %0 = math.exp %x : vector<16xf32>
  return %0 : vector<16xf32>
}

// CHECK-LABEL: func @scalar
// CHECK-NOT:     math.tanh
// CHECK:         math.fma {{.*}} : f32
// CHECK:         return
func.func @scalar(%x: f32) -> f32 {
  %0 = math.tanh %x : f32
  return %0 : f32
}

// bf16 and f16 are computed in f32.
// CHECK-LABEL: func @narrow
// CHECK-SAME:    %[[X:.+]]: vector<8xbf16>
// CHECK-NEXT:    arith.extf %[[X]] : vector<8xbf16> to vector<8xf32>
// CHECK-NOT:     math.erf
// CHECK:         arith.truncf {{.*}} : vector<8xf32> to vector<8xbf16>
func.func @narrow(%x: vector<8xbf16>) -> vector<8xbf16> {
  %0 = math.erf %x : vector<8xbf16>
  return %0 : vector<8xbf16>
}

// Functions that are not worth an f32 version go by way of f64.
// CHECK-LABEL: func @two_operands
// CHECK-SAME:    %[[X:.+]]: f32, %[[Y:.+]]: f32
// CHECK-DAG:     arith.extf %[[X]] : f32 to f64
// CHECK-DAG:     arith.extf %[[Y]] : f32 to f64
// CHECK-NOT:     math.powf
// CHECK:         arith.truncf {{.*}} : f64 to f32
func.func @two_operands(%x: f32, %y: f32) -> f32 {
  %0 = math.powf %x, %y : f32
  return %0 : f32
}

// Arguments beyond 2^40 are reduced behind a branch, lane by lane.
// CHECK-LABEL: func @sin
// CHECK:         %[[ANY:.+]] = vector.reduction <or>
// CHECK:         scf.if %[[ANY]]
// CHECK:           scf.for
// CHECK-NOT:     math.sin
// CHECK:         return
func.func @sin(%x: vector<2x4xf64>) -> vector<2x4xf64> {
  %0 = math.sin %x : vector<2x4xf64>
  return %0 : vector<2x4xf64>
}

// What is exact or an instruction stays.
// CHECK-LABEL: func @stays
// CHECK:         math.sqrt
// CHECK:         math.floor
// CHECK:         math.fma
func.func @stays(%x: vector<4xf32>) -> vector<4xf32> {
  %0 = math.sqrt %x : vector<4xf32>
  %1 = math.floor %0 : vector<4xf32>
  %2 = math.fma %0, %1, %x : vector<4xf32>
  return %2 : vector<4xf32>
}

// Vectors whose length is not known, and types we do not have, stay too.
// CHECK-LABEL: func @others
// CHECK:         math.exp {{.*}} : vector<[4]xf32>
// CHECK:         math.exp {{.*}} : f128
func.func @others(%x: vector<[4]xf32>, %y: f128) -> (vector<[4]xf32>, f128) {
  %0 = math.exp %x : vector<[4]xf32>
  %1 = math.exp %y : f128
  return %0, %1 : vector<[4]xf32>, f128
}

// A tile is computed row by row, and rows in pieces of 512 bits.
// CHECK-LABEL: func @tile
// CHECK-SAME:    %[[X:.+]]: vector<2x24xf32>
// CHECK:         %[[ROW:.+]] = vector.extract %[[X]][0] : vector<24xf32>
// CHECK:         vector.extract_strided_slice %[[ROW]] {offsets = [0], sizes = [16]
// CHECK:         vector.insert_strided_slice
// CHECK:         vector.extract_strided_slice %[[ROW]] {offsets = [16], sizes = [8]
// CHECK:         vector.insert_strided_slice
// CHECK:         vector.insert {{.*}} [0] : vector<24xf32> into vector<2x24xf32>
// CHECK:         vector.extract %[[X]][1]
// CHECK-NOT:     math.exp
// CHECK:         %[[R:.+]] = vector.insert {{.*}} [1]
// CHECK:         return %[[R]]
func.func @tile(%x: vector<2x24xf32>) -> vector<2x24xf32> {
  %0 = math.exp %x : vector<2x24xf32>
  return %0 : vector<2x24xf32>
}

// CHECK-LABEL: func @rank_zero
// CHECK:         vector.shape_cast %{{.*}} : vector<f32> to vector<1xf32>
// CHECK-NOT:     math.log
// CHECK:         vector.shape_cast %{{.*}} : vector<1xf32> to vector<f32>
func.func @rank_zero(%x: vector<f32>) -> vector<f32> {
  %0 = math.log %x : vector<f32>
  return %0 : vector<f32>
}

// The sign of another number is bits: LLVM's own would be taken from before the
// conversions, of a double for a half.
// CHECK-LABEL: func @sign
// CHECK-NOT:     math.copysign
// CHECK:         arith.andi {{.*}} : vector<4xi32>
// CHECK:         arith.andi {{.*}} : vector<4xi32>
// CHECK:         arith.ori {{.*}} : vector<4xi32>
// CHECK-NOT:     math.copysign
// CHECK:         return
func.func @sign(%x: vector<4xf32>, %y: vector<4xf32>) -> vector<4xf32> {
  %0 = math.copysign %x, %y : vector<4xf32>
  return %0 : vector<4xf32>
}

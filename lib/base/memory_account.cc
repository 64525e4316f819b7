#include "lib/base/memory_account.h"

#include <string>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"

namespace flagstone {
namespace {

// Beside the delete reserve: an extent of records, one of versions, and some sessions.
constexpr uint64_t kLimitBytesMin = 5 << 20;

// The option that raises a component's own limit, as the user writes it.
std::string ComponentLimitOption(MemoryComponent component) {
  return "component_limit_bytes[" + std::string(MemoryComponentName(component)) + "]";
}

}  // namespace

std::string_view MemoryComponentName(MemoryComponent component) {
  switch (component) {
    case MemoryComponent::kSlabs: return "slabs";
    case MemoryComponent::kVersions: return "versions";
    case MemoryComponent::kIndexes: return "indexes";
    case MemoryComponent::kCaches: return "caches";
    case MemoryComponent::kLogBuffers: return "log buffers";
    case MemoryComponent::kOther: return "other";
  }
  return "unknown";
}

Status MemoryOptions::Validate() const {
  const auto refuse = [](const std::string& field, uint64_t value, const std::string& range) {
    return Status::Error(
        StatusCode::kInvalidArgument,
        "memory options: " + field + " is " + std::to_string(value) + ", allowed: " + range);
  };
  if (limit_bytes < kLimitBytesMin || limit_bytes - kLimitBytesMin < delete_reserve_bytes) {
    return refuse("limit_bytes", limit_bytes,
                  std::to_string(kLimitBytesMin) + " more than delete_reserve_bytes, which is " +
                      std::to_string(delete_reserve_bytes));
  }
  if (delete_reserve_bytes > limit_bytes / 2) {
    return refuse("delete_reserve_bytes", delete_reserve_bytes,
                  "0 to " + std::to_string(limit_bytes / 2) + " (half of limit_bytes)");
  }
  for (size_t i = 0; i < kMemoryComponentCount; ++i) {
    const auto component = static_cast<MemoryComponent>(i);
    if (component_limit_bytes[component] > limit_bytes) {
      return refuse(ComponentLimitOption(component), component_limit_bytes[component],
                    "0 (none) to " + std::to_string(limit_bytes) + " (limit_bytes)");
    }
  }
  return Status::Ok();
}

namespace base {
namespace {

// Adds `bytes` unless that would pass `limit_bytes`. Returns the count found, and whether it was
// added.
struct BoundedAdd {
  bool added;
  uint64_t found;
};
BoundedAdd AddWithin(std::atomic<uint64_t>& counter, uint64_t bytes, uint64_t limit_bytes) {
  uint64_t found = counter.load(std::memory_order_relaxed);
  for (;;) {
    if (found > limit_bytes || bytes > limit_bytes - found) return {false, found};
    if (counter.compare_exchange_weak(found, found + bytes, std::memory_order_relaxed)) {
      return {true, found};
    }
  }
}

void Subtract(std::atomic<uint64_t>& counter, uint64_t bytes) {
  const uint64_t found = counter.fetch_sub(bytes, std::memory_order_relaxed);
  FLAGSTONE_CHECK(found >= bytes);
}

}  // namespace

MemoryAccount::MemoryAccount(const MemoryOptions& options)
    : limit_bytes_(options.limit_bytes),
      delete_reserve_bytes_(options.delete_reserve_bytes),
      component_limit_bytes_(options.component_limit_bytes) {}

Status MemoryAccount::Charge(MemoryComponent component, uint64_t bytes, MemoryPool pool) {
  const uint64_t own_limit = component_limit_bytes_[component];
  const bool own_limit_holds =
      own_limit != 0 && pool == MemoryPool::kGeneral && !Planted(PlantedBug::kComponentLimitPassed);
  const uint64_t limit = Planted(PlantedBug::kMemoryLimitPassed) ? UINT64_MAX : limit_bytes_;
  const BoundedAdd own =
      AddWithin(component_used_bytes_[component], bytes, own_limit_holds ? own_limit : limit);
  if (!own.added) {
    return Refuse(component, bytes, pool, own.found, own_limit_holds ? own_limit : limit_bytes_,
                  own_limit_holds);
  }
  const uint64_t pool_limit = pool == MemoryPool::kGeneral ? limit - delete_reserve_bytes_ : limit;
  const BoundedAdd total = AddWithin(used_bytes_, bytes, pool_limit);
  if (!total.added) {
    Subtract(component_used_bytes_[component], bytes);
    return Refuse(component, bytes, pool, total.found, pool_limit, /*own_limit=*/false);
  }
  const uint64_t used = total.found + bytes;
  uint64_t peak = used_bytes_peak_.load(std::memory_order_relaxed);
  while (peak < used &&
         !used_bytes_peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
  }
  return Status::Ok();
}

void MemoryAccount::Release(MemoryComponent component, uint64_t bytes) {
  // The total first: were the component first, its next charge could be refused by a total that has
  // not fallen yet.
  Subtract(used_bytes_, bytes);
  Subtract(component_used_bytes_[component], bytes);
}

MemoryUsage MemoryAccount::Usage() const {
  MemoryUsage usage;
  usage.limit_bytes = limit_bytes_;
  usage.delete_reserve_bytes = delete_reserve_bytes_;
  usage.used_bytes = used_bytes_.load(std::memory_order_relaxed);
  usage.used_bytes_peak = used_bytes_peak_.load(std::memory_order_relaxed);
  for (size_t i = 0; i < kMemoryComponentCount; ++i) {
    usage.component_used_bytes.values[i] =
        component_used_bytes_.values[i].load(std::memory_order_relaxed);
  }
  usage.component_limit_bytes = component_limit_bytes_;
  usage.refused_charge_count = refused_charge_count_.load(std::memory_order_relaxed);
  return usage;
}

Status MemoryAccount::Refuse(MemoryComponent component, uint64_t bytes, MemoryPool pool,
                             uint64_t used_bytes, uint64_t limit_bytes, bool own_limit) {
  refused_charge_count_.fetch_add(1, std::memory_order_relaxed);
  std::string message = "memory of " + std::string(MemoryComponentName(component)) +
                        ": asked for " + std::to_string(bytes) + " bytes, " +
                        std::to_string(used_bytes) + " of " + std::to_string(limit_bytes) +
                        " are in use";
  if (own_limit) {
    message +=
        " by this component; raise " + ComponentLimitOption(component) + ", or delete records";
  } else if (pool == MemoryPool::kGeneral && delete_reserve_bytes_ != 0) {
    message += " (" + std::to_string(delete_reserve_bytes_) +
               " more are kept for deletes); raise limit_bytes (" + std::to_string(limit_bytes_) +
               "), or delete records";
  } else {
    message += "; raise limit_bytes (" + std::to_string(limit_bytes_) + "), or delete records";
  }
  return Status::Error(StatusCode::kResourceExhausted, std::move(message));
}

Result<MemoryCharge> MemoryCharge::Take(MemoryAccount& account, MemoryComponent component,
                                        uint64_t bytes, MemoryPool pool) {
  FLAGSTONE_RETURN_IF_ERROR(account.Charge(component, bytes, pool));
  return MemoryCharge(account, component, bytes);
}

MemoryCharge& MemoryCharge::operator=(MemoryCharge&& other) noexcept {
  if (this != &other) {
    Release();
    account_ = other.account_;
    component_ = other.component_;
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

void MemoryCharge::Release() { ShrinkTo(0); }

void MemoryCharge::ShrinkTo(uint64_t bytes) {
  FLAGSTONE_CHECK(bytes <= bytes_);
  if (bytes_ != bytes) account_->Release(component_, bytes_ - bytes);
  bytes_ = bytes;
}

}  // namespace base
}  // namespace flagstone
